"""A model's measures from its config.json: built on PyTorch's meta device, where weights have shapes and no memory.

>>> read(settings.base)[0]
Shape(name='lab', parameters=757376, embedding=..., layers=3, hidden=128, ...)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lidr import config
from lidr.errors import InputError, LidrError
from lidr.models import folder as model
from lidr.models.policy import context_length


@dataclass(frozen=True)
class Shape:
    """Counts of parameters, and lengths of vectors. `modules` are (name, inputs, outputs) of all linear layers."""

    name: str
    parameters: int
    embedding: int  # parameters that are looked up, not multiplied with
    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    head: int
    vocabulary: int
    context: int | None  # None where the config names no limit
    modules: tuple[tuple[str, int, int], ...]

    def adapter(self, train: config.Train) -> int:
        """Parameters of a LoRA adapter: rank x (inputs + outputs) for each layer that has one."""
        names = train.lora["target_modules"]
        if names == "all-linear":
            names = tuple({name for name, _, _ in self.modules} - {"lm_head"})
        return sum(train.lora["r"] * (a + b) for name, a, b in self.modules if name in names)


def read(base: config.Base) -> tuple[Shape | None, str]:
    """The measures, or None and the reason. Of a model on the Hub no more than its config.json is fetched."""
    try:
        folder = model.locate(base) if base.revision is None else model.from_hub(base, ("config.json",))
        return measure(folder, base.model), ""
    except LidrError as error:
        return None, str(error)


def measure(folder: Path, name: str) -> Shape:
    """Build the model of this folder without weights; raises InputError where transformers does not know it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        settings: Any = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            built = AutoModelForCausalLM.from_config(settings)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"its measures cannot be read: {str(error).splitlines()[0]}", name) from error
    # Newer kinds of models keep the language model's values one level below.
    text = settings.get_text_config()
    output = built.get_output_embeddings()
    tied = output is not None and built.get_input_embeddings().weight is output.weight
    heads = text.num_attention_heads
    return Shape(
        name=name,
        parameters=sum(weight.numel() for weight in built.parameters()),
        embedding=0 if tied else built.get_input_embeddings().weight.numel(),
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        heads=heads,
        key_value_heads=getattr(text, "num_key_value_heads", None) or heads,
        head=getattr(text, "head_dim", None) or text.hidden_size // heads,
        vocabulary=text.vocab_size,
        context=context_length(settings),
        modules=tuple(
            (path.rpartition(".")[2], layer.in_features, layer.out_features)
            for path, layer in built.named_modules()
            if isinstance(layer, torch.nn.Linear)
        ),
    )
