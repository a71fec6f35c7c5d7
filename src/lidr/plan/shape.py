"""A model's measures from its config.json: built on PyTorch's meta device, where weights have shapes and no memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lidr import config
from lidr.errors import InputError, LidrError
from lidr.models import folder as model
from lidr.models.policy import context_length
from lidr.models.targets import lora_config


@dataclass(frozen=True)
class Shape:
    """Counts of parameters, and lengths of vectors."""

    name: str
    parameters: int
    embedding: int  # parameters that are looked up, not multiplied with
    linear: int  # weights of linear layers but the head
    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    head: int
    vocabulary: int
    context: int | None  # None where the config names no limit
    adapter: int = 0  # parameters of the largest LoRA adapter of the iterations

    @property
    def cached(self) -> int:
        """Keys and values of a token in the cache, as many numbers."""
        return 2 * self.layers * self.key_value_heads * self.head


def read(settings: config.Settings) -> tuple[Shape | None, str]:
    """The measures, and what is wrong with the model or with the adapters on it, or nothing.

    Without measures the model is not known; with them its adapters cannot be made.
    """
    base = settings.base
    try:
        built = build(model.config_folder(base), base.model)
    except LidrError as error:
        return None, str(error)
    found = measure(built, base.model)
    trained = [settings.of_iteration(name).train for name in settings.iterations]
    try:
        return replace(found, adapter=max((adapter_parameters(built, train) for train in trained), default=0)), ""
    except InputError as error:
        return found, str(error)


def build(folder: Path, name: str) -> Any:
    """The model of this folder without weights; raises InputError where transformers does not know it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"its measures cannot be read: {str(error).splitlines()[0]}", name) from error


def measure(built: Any, name: str) -> Shape:
    """The measures of a model, as it is before it has an adapter."""
    import torch
    from transformers.pytorch_utils import Conv1D

    # Newer kinds of models keep the language model's values one level below.
    text = built.config.get_text_config()
    output = built.get_output_embeddings()
    tied = output is not None and built.get_input_embeddings().weight is output.weight
    heads = text.num_attention_heads
    return Shape(
        name=name,
        parameters=sum(weight.numel() for weight in built.parameters()),
        embedding=0 if tied else built.get_input_embeddings().weight.numel(),
        linear=sum(
            layer.weight.numel()
            for layer in built.modules()
            if isinstance(layer, torch.nn.Linear | Conv1D) and layer is not output
        ),
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        heads=heads,
        key_value_heads=getattr(text, "num_key_value_heads", None) or heads,
        head=getattr(text, "head_dim", None) or text.hidden_size // heads,
        vocabulary=text.vocab_size,
        context=context_length(built.config),
    )


def adapter_parameters(built: Any, train: config.Train) -> int:
    """Parameters of the LoRA adapter, as PEFT makes it; raises InputError where `target_modules` names no layer."""
    import torch
    from peft import get_peft_model

    with torch.device("meta"):
        with_adapter = get_peft_model(built, lora_config(built, train.lora))
    trainable, _ = with_adapter.get_nb_trainable_parameters()
    with_adapter.unload()
    return int(trainable)
