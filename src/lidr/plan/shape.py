"""A model's measures from its config.json: built on PyTorch's meta device, where weights have shapes and no memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lidr import config
from lidr.errors import InputError, LidrError
from lidr.models import folder as model
from lidr.models.base import without_weights
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
        # A model's own code lies beside its config.
        folder = model.locate(base) if base.trust_remote_code else model.config_folder(base)
        built = without_weights(folder, base)
        found = measure(built, base.model)
    except LidrError as error:
        return None, str(error)
    trained = [settings.of_iteration(name).train for name in settings.iterations]
    try:
        return replace(found, adapter=max((adapter_parameters(built, train) for train in trained), default=0)), ""
    except InputError as error:
        return found, str(error)


def measure(built: Any, name: str) -> Shape:
    """The measures of a model, as it is before it has an adapter; raises InputError where its config lacks one."""
    import torch
    from transformers.pytorch_utils import Conv1D

    # Newer kinds of models keep the language model's values one level below.
    text = built.config.get_text_config()
    output = built.get_output_embeddings()
    tied = output is not None and built.get_input_embeddings().weight is output.weight
    heads, hidden = (_measure(text, key, name) for key in ("num_attention_heads", "hidden_size"))
    return Shape(
        name=name,
        parameters=sum(weight.numel() for weight in built.parameters()),
        embedding=0 if tied else built.get_input_embeddings().weight.numel(),
        linear=sum(
            layer.weight.numel()
            for layer in built.modules()
            if isinstance(layer, torch.nn.Linear | Conv1D) and layer is not output
        ),
        layers=_measure(text, "num_hidden_layers", name),
        hidden=hidden,
        intermediate=_measure(text, "intermediate_size", name, 4 * hidden),
        heads=heads,
        key_value_heads=_measure(text, "num_key_value_heads", name, heads),
        head=_measure(text, "head_dim", name, hidden // heads),
        vocabulary=_measure(text, "vocab_size", name),
        context=context_length(built.config),
    )


def _measure(values: Any, key: str, name: str, otherwise: int = 0) -> int:
    """The config's number; the largest one where layers differ, `otherwise` where it has none.

    Layers differ by a list of numbers (Gemma 3n), or by configs of their own (Gemma 4).
    """
    layers = values.per_layer_config if getattr(values, "is_heterogeneous", False) else [values]
    found = [getattr(layer, key, None) for layer in layers]
    numbers = [number for one in found for number in (one if isinstance(one, list | tuple) else [one]) if number]
    if not numbers and not otherwise:
        raise InputError(f"its measures cannot be read: its config has no {key}", name)
    return int(max(numbers, default=otherwise))


def adapter_parameters(built: Any, train: config.Train) -> int:
    """Parameters of the LoRA adapter, as PEFT makes it; raises InputError where it makes none."""
    import torch
    from peft import get_peft_model

    wanted = lora_config(built, train.lora)
    try:
        with torch.device("meta"):
            with_adapter = get_peft_model(built, wanted)
    except ValueError as error:
        kind = type(built).__name__
        raise InputError(f"train.lora: PEFT puts no such adapter on {kind}: {str(error).splitlines()[0]}") from error
    trainable, _ = with_adapter.get_nb_trainable_parameters()
    with_adapter.unload()
    return int(trainable)
