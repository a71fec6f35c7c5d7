"""Which models can compute packed rows: those for which a test finds the same results as row by row.

Packed rows (packing.py) need a model that separates rows where positions restart. Most models of transformers do. Some
silently do not, because of a recurrent state, positions counted from the attention mask, or a mask made without the
positions. None of these raises an error, so untested models get padded rows, which are always right.
"""

from __future__ import annotations

from typing import Any

# `model_type` of the configs whose packed rows are tested (tests/training/test_families.py).
PACKED = frozenset(
    {
        *("llama", "mistral", "mixtral", "ministral", "ministral3", "qwen2", "qwen3", "qwen3_moe"),
        *("gemma", "gemma2", "gemma3", "gemma3_text", "phi3", "olmo2", "olmo3", "smollm3", "granite", "cohere2"),
        *("glm4", "exaone4", "gpt2", "gpt_neox"),
    }
)
# Implementations for which transformers makes the masks, whatever the number of lines.
_ATTENTION = {"sdpa", "eager"}


def why_padded(model: Any) -> str | None:
    """Why this causal model gets padded rows, or None where its rows are packed; known from config and class alone."""
    config, text = model.config, model.config.get_text_config()
    kind = type(model)
    if not kind.__module__.startswith("transformers."):
        return f"{kind.__name__} is code of its own"
    if text._attn_implementation not in _ATTENTION:
        return f"packed rows are not tested under {text._attn_implementation} attention"
    if config.model_type not in PACKED:
        return f"packed rows are not tested for {config.model_type} models"
    return None
