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


def decoder_of(model: Any) -> Any:
    """The part of a causal model that makes the hidden states its head reads.

    Raises InputError where transformers cannot tell it from the whole model (Llama 4), which training needs.
    """
    found = model.get_decoder()
    # TRL calls `base_model`, which the decoder may be a part of: OPT's own forward calls the decoder alone.
    if model.base_model is model or found in (model, model.get_output_embeddings()):
        reason = f"{type(model).__name__} cannot be trained, as transformers cannot tell its layers from its head"
        raise InputError(f"base.model: {reason} (base_model, get_decoder); another model is expected")
    return found


def target_modules(model: Any, modules: str | Iterable[str]) -> dict[str, Any]:
    """LoraConfig's arguments that say which layers; raises InputError where a name matches none, with those there are.

    `exclude_modules` is a regular expression for what is outside the language model, where anything there has one of
    the names. Under `all-linear`, the names are those of the model's layers, sorted.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    # TRL multiplies with the head's weights itself, without an adapter.
    decoder, head = decoder_of(model), model.get_output_embeddings()
    modules_by_path = dict(model.named_modules())
    language_model = next(path for path, module in modules_by_path.items() if module is decoder)
    prefix = f"{language_model}."
    layers = {
        path: module
        for path, module in modules_by_path.items()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    }
    inside = {path for path in layers if path.startswith(prefix)}
    there = {path.rpartition(".")[2] for path in inside}
    names = list(modules)
    if modules == ALL_LINEAR:
        others = {path.rpartition(".")[2] for path in modules_by_path if path.startswith(prefix) and path not in inside}
        # Whole paths where a layer's name is also that of something else in there.
        names = sorted(inside if there & others else there)
    # As PEFT matches them.
    named = {name: {path for path in layers if path == name or path.endswith(f".{name}")} for name in names}
    missing = [name for name, found in named.items() if not found & inside]
    if missing:
        raise InputError(
            f"train.lora.target_modules: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} no linear layer "
            f"of the language model in {type(model).__name__}, which has {', '.join(sorted(there))}"
        )
    chosen = set().union(*named.values())
    return {
        "target_modules": names,
        "exclude_modules": rf"(?!{re.escape(language_model)}\.).*" if chosen - inside else None,
        # Conv1D keeps its weights transposed.
        "fan_in_fan_out": all(isinstance(layers[path], Conv1D) for path in chosen & inside),
    }
