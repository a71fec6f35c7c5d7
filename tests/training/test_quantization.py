"""QLoRA on bitsandbytes' CPU build: training on, generation with, and export of a base in nf4."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small_training import configured

from lidr import config, export, paths
from lidr.config import quantization
from lidr.engines.base import Request, Sampling
from lidr.engines.transformers import TransformersEngine
from lidr.errors import InputError
from lidr.lab import source
from lidr.models import base, policy
from lidr.models.policy import Policy
from lidr.records.jsonl import read_json
from lidr.records.prompt_templates import prompt_conversation
from lidr.training import stage as train

needs_bitsandbytes = pytest.mark.skipif(
    not quantization.is_installed(), reason="no bitsandbytes (the extra `quantization`); `make test-vllm` has it"
)
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}


def answers(settings: config.Settings, model: Policy) -> list[str]:
    engine = TransformersEngine(settings.engine, model)
    prompts = source.prompts("iterations", "es", 12, seed=3).values()
    wanted = [Request(p.id, prompt_conversation(p.text)) for p in prompts]
    return [c.text for c in engine.generate(wanted, Sampling(max_new_tokens=40), lambda count: None)]


def logits(model: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.arange(5, 45).view(2, 20)).logits


@needs_bitsandbytes
@pytest.mark.pipeline
def test_adapter_of_a_quantised_base_trains_chains_generates_and_is_exported(configure: Any, tmp_path: Path) -> None:
    import torch

    whole = policy.resolve("m0")
    settings = configure(quantization=NF4, eval_share=0.0, learning_rate=5e-3, warmup_steps=0)
    base.run(settings)
    quantised = policy.resolve("m0")
    assert quantised.quantization == NF4
    assert quantised.fingerprint != whole.fingerprint
    first = train.run(settings, "m1")
    # With an untrained adapter it exceeds log 2, the preference term alone.
    assert first.last["loss"] < math.log(2)
    second = train.run(
        configure(quantization=NF4, eval_share=0.0, learning_rate=1e-6, gradient_checkpointing=True), "m2"
    )
    # In bfloat16 the adapter would differ from its own reference, and such small steps would be lost.
    assert second.first["reward_margin"] == pytest.approx(0.0, abs=5e-3)
    weights = [paths.model(name) / "adapter_model.safetensors" for name in ("m1", "m2")]
    assert weights[0].read_bytes() != weights[1].read_bytes()

    fingerprint = export.run(settings, "m1", tmp_path / "out")
    assert "quantization_config" not in (tmp_path / "out/config.json").read_text()
    trained, exported = policy.resolve("m1"), Policy("out", tmp_path / "out", None, False, fingerprint)
    told = '(`{"bnb_4bit_quant_type":"nf4","bnb_4bit_use_double_quant":true,"load_in_4bit":true}`):\nthis was dequan'
    assert told in (tmp_path / "out/README.md").read_text()
    beside = policy.load_for_generation(trained, torch.float32, "cpu")
    assert beside.peft_config, "the adapter is not merged into quantised weights"
    merged = policy.load_for_generation(exported, torch.float32, "cpu")
    assert torch.allclose(logits(beside), logits(merged), atol=1e-3)
    difference = (logits(merged) - logits(policy.load_for_generation(whole, torch.float32, "cpu"))).abs().max()
    assert difference > 0.1
    assert answers(settings, exported) == answers(settings, trained)


@pytest.mark.pipeline
@needs_bitsandbytes
def test_adapter_of_another_quantisation_is_refused(configure: Any) -> None:
    settings = configure(eval_share=0.0)
    train.run(settings, "m1")
    base.run(configure(quantization=NF4))
    with pytest.raises(InputError, match="this adapter was trained on the base"):
        policy.resolve("m1")


@needs_bitsandbytes
def test_record_says_how_the_base_is_loaded_and_a_fingerprint_of_the_policy_covers_it(configure: Any) -> None:
    record = base.run(configure(quantization=NF4))
    assert read_json(paths.model("m0") / paths.RECORD, policy.BaseRecord) == record
    assert record.quantization == NF4
    prints = {policy.resolve("m0").fingerprint, record.fingerprint}
    base.run(configure(quantization=NF4 | {"bnb_4bit_quant_type": "fp4"}))
    assert len(prints | {policy.resolve("m0").fingerprint}) == 3


@pytest.mark.parametrize(
    ("values", "place", "reason"),
    [
        ({"load_in_4bit": True, "quant_type": "nf4"}, "quant_type", "BitsAndBytesConfig has no such key"),
        ({"load_in_8bit": True}, "load_in_8bit", "only load_in_4bit is supported"),
        ({"bnb_4bit_quant_type": "nf4"}, "quantization", "load_in_4bit: true is expected"),
        (NF4 | {"bnb_4bit_quant_type": "nf5"}, "bnb_4bit_quant_type", "nf4 or fp4 is expected"),
        (NF4 | {"bnb_4bit_use_double_quant": "yes"}, "quantization", "bnb_4bit_use_double_quant must be a boolean"),
        (NF4 | {"bnb_4bit_compute_dtype": "float"}, "quantization", ""),
        (NF4 | {"bnb_4bit_compute_dtype": "bfloat61"}, "quantization", "module 'torch' has no attribute 'bfloat61'"),
    ],
)
def test_keys_are_those_of_the_library_s_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], place: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if not reason:
        assert configured(quantization=values).base.quantization == values
        return
    with pytest.raises(InputError) as error:
        configured(quantization=values)
    key = "base.quantization" + ("" if place == "quantization" else f".{place}")
    line = next(n for n, text in enumerate(paths.PARAMS.read_text().splitlines(), start=1) if f"{place}:" in text)
    assert str(error.value) == f"params.yaml:{line}: {key}: {reason}"


def test_engine_that_would_load_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from factories import ROOT

    from lidr.config.contradictions import contradictions

    values: dict[str, Any] = msgspec.to_builtins(config.load(ROOT / "profiles/paper.yaml"))
    values["base"]["quantization"] = NF4
    place, reason = next(iter(contradictions(msgspec.convert(values, config.Settings))))
    assert place == ("base", "quantization")
    assert reason == "the engine 'vllm' would compute with other weights than these; transformers is expected"
