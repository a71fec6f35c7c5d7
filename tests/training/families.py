"""Tiny random models of each family, and the difference of our loss and gradients on them from TRL's.

    $ python tests/training/families.py        writes benchmarks/results/families.json, for docs/real-models.md

A model has two layers and, if its family has sliding windows, one of 16 tokens. Both trainers get the same pairs,
shorter and longer than the window, and the same non-zero adapter. TRL's pads its rows with its own collator.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import zlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from lidr import config
from lidr.models import policy
from lidr.training import head, packing
from lidr.training.packing import TokenizedPair, share_out

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks" / "results" / "families.json"
VOCABULARY, WINDOW = 96, 16
DTYPES = ("float32", "bfloat16")
# Relative differences up to this are rounding.
TOLERANCE = {"float32": 1e-5, "bfloat16": 3e-2}

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.05,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
HEADS = {"head_dim": 16}
ALTERNATING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2}
OF_ALL = ("vocab_size", "initializer_range", "pad_token_id", "bos_token_id", "eos_token_id")
OLDER = {name: SHAPE[name] for name in OF_ALL}
GEMMA = {**HEADS, "query_pre_attn_scalar": 16}
VISION = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
LINEAR = {
    f"linear_{name}": size
    for name, size in (("num_key_heads", 2), ("num_value_heads", 2), ("key_head_dim", 16), ("value_head_dim", 16))
}

# The families by name: the config's class and its arguments.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("LlamaConfig", SHAPE),
    "Llama, tied": ("LlamaConfig", SHAPE | {"tie_word_embeddings": True}),
    "Qwen 2": ("Qwen2Config", SHAPE),
    "Qwen 2, window": (
        "Qwen2Config",
        SHAPE | {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    ),
    "Qwen 3": ("Qwen3Config", SHAPE | HEADS),
    "Qwen 3.5": ("Qwen3_5TextConfig", SHAPE | HEADS | LINEAR | {"layer_types": ["linear_attention", "full_attention"]}),
    "Qwen3-MoE": ("Qwen3MoeConfig", SHAPE | HEADS | EXPERTS | {"moe_intermediate_size": 48}),
    "Gemma 2": ("Gemma2Config", SHAPE | GEMMA | {"sliding_window": WINDOW, "attn_logit_softcapping": 5.0}),
    "Gemma 3, text": ("Gemma3TextConfig", SHAPE | GEMMA | ALTERNATING),
    "Gemma 3, multimodal": (
        "Gemma3Config",
        {
            "text_config": SHAPE | GEMMA | ALTERNATING,
            "vision_config": VISION | {"image_size": 28, "patch_size": 14},
            "image_token_index": 90,
            "boi_token_index": 91,
            "eoi_token_index": 92,
            "mm_tokens_per_image": 4,
        },
    ),
    "Mistral": ("MistralConfig", SHAPE | {"sliding_window": None}),
    "Mistral, window": ("MistralConfig", SHAPE | {"sliding_window": WINDOW}),
    "Phi-3": ("Phi3Config", SHAPE | {"sliding_window": WINDOW}),
    "OLMo 2": ("Olmo2Config", SHAPE),
    "SmolLM 3": ("SmolLM3Config", SHAPE),
    "GPT-OSS": ("GptOssConfig", SHAPE | HEADS | ALTERNATING | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "Bloom": ("BloomConfig", OLDER | {"hidden_size": 64, "n_layer": 2, "n_head": 4}),
    "GPT-2": ("GPT2Config", OLDER | {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    # TRL, which switches off layers of dropout, does not see this one.
    "OPT": (
        "OPTConfig",
        OLDER | {"hidden_size": 64, "ffn_dim": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "dropout": 0.0},
    ),
}
# Other families with packed rows.
PACKED_AS_WELL: dict[str, tuple[str, dict[str, Any]]] = {
    "Gemma": ("GemmaConfig", SHAPE | HEADS),
    "Mixtral": ("MixtralConfig", SHAPE | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": WINDOW}),
    "Ministral": ("MinistralConfig", SHAPE | HEADS | ALTERNATING),
    "Ministral 3": ("Ministral3Config", SHAPE | HEADS),
    "OLMo 3": ("Olmo3Config", SHAPE | ALTERNATING),
    "Granite": ("GraniteConfig", SHAPE),
    "Command R7B": ("Cohere2Config", SHAPE | ALTERNATING),
    "GLM 4": ("Glm4Config", SHAPE | HEADS),
    "EXAONE 4": ("Exaone4Config", SHAPE | ALTERNATING),
    "GPT-NeoX": ("GPTNeoXConfig", {name: value for name, value in SHAPE.items() if name != "num_key_value_heads"}),
}


def build(family: str, dtype: str = "float32", **values: Any) -> Any:
    """The family's model; `values` override its config's."""
    import torch
    import transformers

    kind, given = (FAMILIES | PACKED_AS_WELL)[family]
    settings = getattr(transformers, kind)(**given | values)
    # Its own weights, since TRL caches reference values by weights and pairs.
    torch.manual_seed(zlib.crc32(family.encode()))
    attention = policy.attention_for(settings)
    chosen = {"attn_implementation": attention} if attention else {}
    return transformers.AutoModelForCausalLM.from_config(settings, dtype=getattr(torch, dtype), **chosen)


def pairs(longest: int, count: int) -> list[TokenizedPair]:
    """Random pairs whose prompts and answers have up to `longest` tokens."""
    rng = random.Random(longest)

    def ids() -> list[int]:
        return [rng.randrange(5, 90) for _ in range(rng.randint(longest // 2, longest))]

    return [{"prompt_ids": ids(), "chosen_ids": ids(), "rejected_ids": ids()} for _ in range(count)]


def all_pairs() -> dict[str, list[TokenizedPair]]:
    """Pairs by the length of their rows relative to the window."""
    return {"shorter": pairs(WINDOW // 2, 3), "longer": pairs(3 * WINDOW, 3)}


# Logits of seven positions.
FEW = 7 * VOCABULARY

# Rows on shared lines, as for a large model, and on a line each.
LAYOUTS = {
    "shared": lambda lengths, _: share_out(lengths, 512),
    "alone": lambda lengths, _: [(line, 0) for line in range(len(lengths))],
}


def laid_out(layout: str) -> Any:
    """A context in which packed rows have this layout."""
    return mock.patch.object(packing, "share_out", LAYOUTS[layout])


def measure(
    family: str, dtype: str, settings: config.Settings, ways: Sequence[tuple[str, int]] | None = None, **train: Any
) -> dict[str, Any]:
    """The layout of rows, and the largest relative differences of a batch's loss and gradient.

    `train` are values of `train.dpo`, or of the block itself. `ways` are (layout, number of logits at once). The
    default covers shared lines, if the family allows them, and a line per row; and all logits at once as well as those
    of a few positions.
    """
    given, rows = _settings(settings, dtype, **train), all_pairs()
    both = [pair for batch in rows.values() for pair in batch]
    with tempfile.TemporaryDirectory() as scratch:
        ours = _trainer(build(family, dtype), both, given, Path(scratch) / "ours")
        trls = _plain(build(family, dtype), both, given, Path(scratch) / "trl")
        if ways is None:
            ways = list(product(LAYOUTS if ours.layout == "packed" else ("alone",), (head.AT_ONCE, FEW)))
        losses, gradients = [], []
        for start, batch in zip((0, len(rows["shorter"])), rows.values(), strict=True):
            places = range(start, start + len(batch))
            their_loss, their_gradient = _step(trls, places)
            for layout, at_once in ways:
                with laid_out(layout), mock.patch.object(head, "AT_ONCE", at_once):
                    loss, gradient = _step(ours, places)
                losses.append(abs(loss - their_loss) / abs(their_loss))
                gradients.append(float((gradient - their_gradient).norm() / their_gradient.norm()))
    return {"rows": ours.layout, "loss": max(losses), "gradient": max(gradients)}


def _settings(settings: config.Settings, dtype: str, **train: Any) -> config.Settings:
    values = msgspec.to_builtins(settings)
    values["engine"]["device"] = "cpu"
    # Over tokens, TRL supports the likelihood term too.
    own = {"alpha": 1.0, "likelihood_mean": "token", "dtype": dtype, "pairs_per_step": 3, "lora": {"r": 4}}
    dpo = {"beta": 0.1, "learning_rate": 1e-3, "max_length": 256, "per_device_train_batch_size": 3}
    for key, value in train.items():
        (own if key in config.Train.__struct_fields__ else dpo)[key] = value
    values["train"] |= own | {"dpo": dpo}
    return msgspec.convert(values, config.Settings)


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({f"<{i}>": i for i in range(VOCABULARY)}, unk_token="<3>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<0>", eos_token="<2>")


def ignore(metrics: dict[str, float], step: int) -> None:
    """Discard metrics."""


def _trainer(model: Any, rows: list[TokenizedPair], settings: config.Settings, scratch: Path, log: Any = ignore) -> Any:
    from lidr.training.arguments import arguments
    from lidr.training.trainer import make

    if settings.train.objective == "sft":
        rows = [{"prompt_ids": row["prompt_ids"], "chosen_ids": row["chosen_ids"]} for row in rows]
    args = arguments(settings.train, settings, scratch)
    return make(model, tokenizer(), rows, settings.train, args, scratch, log)


def _plain(model: Any, rows: list[TokenizedPair], settings: config.Settings, scratch: Path, log: Any = ignore) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    from lidr.models.targets import target_modules
    from lidr.training.trainer import LogCallback

    class Plain(DPOTrainer):
        """TRL's trainer on pairs of token ids."""

        def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
            return dataset

    train = settings.train
    return Plain(
        model=model,
        args=trl_arguments(settings, scratch),
        train_dataset=Dataset.from_list([dict(row) for row in rows]),
        processing_class=tokenizer(),
        peft_config=LoraConfig(**(train.lora | target_modules(model, train.lora["target_modules"]))),
        callbacks=[LogCallback(log)],
    )


def trl_arguments(settings: config.Settings, scratch: Path) -> Any:
    """Our arguments for TRL, where the likelihood term is a separate loss."""
    from lidr.training.arguments import arguments

    args, train = arguments(settings.train, settings, scratch), settings.train
    if train.objective == "dpo":
        args.loss_weights = [*(args.loss_weights or [1.0] * len(args.loss_type)), train.alpha]
        args.loss_type = [*args.loss_type, "sft"]
    return args


def _step(trainer: Any, places: range) -> tuple[float, Any]:
    """Loss and gradient of one batch, with the same adapter for all trainers."""
    import torch

    generator = torch.Generator().manual_seed(0)
    weights = [weight for _, weight in sorted(trainer.model.named_parameters()) if weight.requires_grad]
    for weight in weights:
        weight.data = (0.1 * torch.randn(weight.shape, generator=generator)).to(weight.dtype)
        weight.grad = None
    with trainer.accelerator.autocast():
        loss = trainer.compute_loss(trainer.model, trainer.data_collator([trainer.train_dataset[i] for i in places]))
    loss.backward()
    return float(loss.detach()), torch.cat([weight.grad.flatten().float() for weight in weights])


def main() -> None:
    from datasets import disable_progress_bars

    disable_progress_bars()
    settings = config.load(ROOT / "params.yaml")
    result = {
        family: {dtype: measure(family, dtype, settings) for dtype in DTYPES} for family in sys.argv[1:] or FAMILIES
    }
    text = json.dumps(result, indent=1)
    print(text)
    if not sys.argv[1:]:
        RESULT.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
