"""LoRA's target layers: each name is a layer of the language model, or the error lists the layers."""

from __future__ import annotations

from typing import Any

import pytest

from lidr.errors import InputError

pytest.importorskip("torch")

import torch
from families import FAMILIES

from lidr.models.targets import ALL_LINEAR, decoder_of, target_modules

LLAMAS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def without_weights(family: str) -> Any:
    import transformers

    kind, given = FAMILIES[family]
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**given))


@pytest.mark.parametrize("family", ["Llama", "Qwen 3", "Gemma 2", "OLMo 2", "SmolLM 3"])
def test_names_are_as_they_are_given(family: str) -> None:
    assert target_modules(without_weights(family), LLAMAS) == {
        "target_modules": LLAMAS,
        "exclude_modules": None,
        "fan_in_fan_out": False,
    }


@pytest.mark.parametrize(
    ("family", "missing", "there"),
    [
        (
            "Phi-3",
            "q_proj, k_proj, v_proj, gate_proj, up_proj are no linear layer of the language model in Phi3ForCausalLM",
            "down_proj, gate_up_proj, o_proj, qkv_proj",
        ),
        ("GPT-2", ".* in GPT2LMHeadModel", "c_attn, c_fc, c_proj"),
        ("Bloom", ".* in BloomForCausalLM", "dense, dense_4h_to_h, dense_h_to_4h, query_key_value"),
        ("Qwen3-MoE", "gate_proj, up_proj, down_proj are .* Qwen3MoeForCausalLM", "k_proj, o_proj, q_proj, v_proj"),
    ],
)
def test_a_name_that_matches_nothing_is_refused_with_those_that_are_there(
    family: str, missing: str, there: str
) -> None:
    with pytest.raises(InputError, match=f"^train.lora.target_modules: {missing}, which has {there}$"):
        target_modules(without_weights(family), LLAMAS)


def test_the_head_is_not_adapted() -> None:
    with pytest.raises(InputError, match="lm_head is no linear layer of the language model"):
        target_modules(without_weights("Llama"), ["q_proj", "lm_head"])


@pytest.mark.parametrize("modules", [["q_proj", "v_proj"], ALL_LINEAR])
def test_a_vision_tower_gets_no_adapter(modules: Any) -> None:
    from peft import LoraConfig, get_peft_model

    model = without_weights("Gemma 3, multimodal")
    found = target_modules(model, modules)
    assert found["target_modules"] == (sorted(LLAMAS) if modules == ALL_LINEAR else modules)
    adapted = get_peft_model(model, LoraConfig(r=2, **found))
    paths = {name for name, weight in adapted.named_parameters() if weight.requires_grad}
    assert paths
    assert all(path.startswith("base_model.model.model.language_model.layers.") for path in paths)


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("Llama", sorted(LLAMAS)),
        ("Phi-3", ["down_proj", "gate_up_proj", "o_proj", "qkv_proj"]),
        ("GPT-2", ["c_attn", "c_fc", "c_proj"]),
        ("Bloom", ["dense", "dense_4h_to_h", "dense_h_to_4h", "query_key_value"]),
        ("Qwen3-MoE", ["k_proj", "o_proj", "q_proj", "v_proj"]),
    ],
)
def test_all_linear_are_the_language_models_layers_without_its_head(family: str, names: list[str]) -> None:
    found = target_modules(without_weights(family), ALL_LINEAR)
    assert found["target_modules"] == names
    assert found["fan_in_fan_out"] == (family == "GPT-2")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Llama4TextConfig", "Llama4ForCausalLM"),
        ("ModernBertDecoderConfig", "ModernBertDecoderForCausalLM"),  # whose get_decoder is its head
    ],
)
def test_a_model_whose_layers_cannot_be_told_from_its_head_is_refused(kind: str, name: str) -> None:
    import transformers

    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(num_hidden_layers=1))
    with pytest.raises(InputError, match=f"^base.model: {name} cannot be trained"):
        decoder_of(model)
