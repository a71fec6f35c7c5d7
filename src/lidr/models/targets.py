"""Which layers LoRA adapts: linear ones of the language model, by name, or all of them.

    train: {..., lora: {target_modules: [q_proj, v_proj]}}      or      target_modules: all-linear

A name stands for every layer whose path ends in it. Each must be there: Phi-3, for one, has `qkv_proj` and no `q_proj`,
and PEFT would silently adapt the rest. A multimodal model has layers of the same names elsewhere, which training on
text must not adapt.

A model without weights is enough:

    with torch.device("meta"):
        target_modules(AutoModelForCausalLM.from_config(config), modules)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lidr.errors import InputError

if TYPE_CHECKING:
    from peft import LoraConfig

ALL_LINEAR = "all-linear"


def lora_config(model: Any, values: dict[str, Any]) -> LoraConfig:
    """PEFT's configuration of a new adapter by `train.lora`; raises InputError as `target_modules` does."""
    from peft import LoraConfig

    return LoraConfig(**(values | target_modules(model, values["target_modules"]) | {"task_type": "CAUSAL_LM"}))


def target_modules(model: Any, modules: str | Iterable[str]) -> dict[str, Any]:
    """LoraConfig's arguments that say which layers; raises InputError where a name matches none, with those there are.

    `exclude_modules` is a regular expression for what is outside the language model, where anything there has one of
    the names. Under `all-linear`, the names are those of the model's layers, sorted.
    """
    from transformers.pytorch_utils import Conv1D

    layers = _linear_layers(model)
    language_model = _path(model, model.get_decoder())
    inside = {path: layer for path, layer in layers.items() if _is_within(path, language_model)}
    names = _own_names(model, inside, language_model) if modules == ALL_LINEAR else list(modules)
    missing = [name for name in names if not any(_matches(path, name) for path in inside)]
    if missing:
        there = ", ".join(sorted({_last(path) for path in inside}))
        raise InputError(
            f"train.lora.target_modules: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} no linear layer "
            f"of the language model in {type(model).__name__}, which has {there}"
        )
    chosen = [layer for path, layer in inside.items() if any(_matches(path, name) for name in names)]
    elsewhere = any(_matches(path, name) for path in layers.keys() - inside.keys() for name in names)
    return {
        "target_modules": names,
        "exclude_modules": rf"(?!{re.escape(language_model)}\.).*" if elsewhere else None,
        # Conv1D keeps its weights transposed.
        "fan_in_fan_out": all(isinstance(layer, Conv1D) for layer in chosen),
    }


def _linear_layers(model: Any) -> dict[str, Any]:
    """All linear layers by path, but for the head: its weights are multiplied by TRL itself, without an adapter."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    return {
        path: layer
        for path, layer in model.named_modules()
        if isinstance(layer, (torch.nn.Linear, Conv1D)) and layer is not head
    }


def _path(model: Any, wanted: Any) -> str:
    return next(path for path, module in model.named_modules() if module is wanted)


def _is_within(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}.")


def _own_names(model: Any, inside: dict[str, Any], language_model: str) -> list[str]:
    """The last part of each layer's path, or all paths where a part is also the name of something else in there."""
    names = {_last(path) for path in inside}
    within = [path for path, _ in model.named_modules() if _is_within(path, language_model)]
    others = {_last(path) for path in within if path not in inside}
    return sorted(inside if names & others else names)


def _matches(path: str, name: str) -> bool:
    """As PEFT matches."""
    return path == name or path.endswith(f".{name}")


def _last(path: str) -> str:
    return path.rpartition(".")[2]
