"""Model families: rows are packed only if that is correct, and loss and gradients equal those of TRL's trainer."""

from __future__ import annotations

from typing import Any

import pytest

from lidr import config

pytest.importorskip("torch")

import torch
from families import FAMILIES, LAYOUTS, PACKED_AS_WELL, TOLERANCE, all_pairs, build, laid_out, measure

from lidr.training.packing import PACKED, pack, rows, why_padded

PADDED = {
    "Qwen 3.5": "packed rows are not tested for qwen3_5_text models",
    "GPT-OSS": "packed rows are not tested for gpt_oss models",
    "Bloom": "packed rows are not tested for bloom models",
    "OPT": "packed rows are not tested for opt models",
}


# One of each kind: in bfloat16, families differ only in autocast.
IN_BFLOAT16 = ("Llama", "Gemma 2", "Qwen3-MoE", "Bloom")


@pytest.mark.parametrize(
    ("family", "dtype"),
    [*((family, "float32") for family in FAMILIES), *((family, "bfloat16") for family in IN_BFLOAT16)],
)
def test_loss_and_gradient_are_those_of_trls_own_trainer(
    family: str, dtype: str, project_settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    found = measure(family, dtype, project_settings)
    assert found["rows"] == (f"padded: {PADDED[family]}" if family in PADDED else "packed")
    assert found["loss"] < TOLERANCE[dtype]
    assert found["gradient"] < TOLERANCE[dtype]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", PACKED_AS_WELL)
def test_packed_rows_have_the_log_probabilities_of_each_row_by_itself(family: str, layout: str) -> None:
    """On shared lines, and on a line each, padded without a mask."""
    model = build(family).eval()
    assert why_padded(model) is None
    for batch in all_pairs().values():
        with laid_out(layout):
            given = pack(batch, 0, 64)
        assert ("position_ids" in given) == (layout == "shared")
        scored = given.pop("scored")
        with torch.inference_mode():
            packed = model(**given, use_cache=False).logits.flatten(0, 1)[scored].log_softmax(-1)
            each = [
                model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0, row.first :].log_softmax(-1)
                for row in rows(batch)
            ]
        assert torch.allclose(packed, torch.cat(each), atol=5e-5)


def test_the_longer_pairs_reach_beyond_the_window() -> None:
    for kind, batch in all_pairs().items():
        found = []
        for values in ({}, {"sliding_window": None}):
            model = build("Mistral, window", **values).eval()
            with laid_out("shared"):
                given = pack(batch, 0, 64)
            scored = given.pop("scored")
            with torch.inference_mode():
                found.append(model(**given, use_cache=False).logits.flatten(0, 1)[scored].log_softmax(-1))
        assert ((found[0] - found[1]).abs().max() > 1e-2) == (kind == "longer")


def test_no_kind_of_model_is_packed_that_is_not_tested() -> None:
    tested = {build_config(family).model_type for family in FAMILIES | PACKED_AS_WELL if family not in PADDED}
    assert tested == PACKED


def build_config(family: str) -> Any:
    import transformers

    kind, given = (FAMILIES | PACKED_AS_WELL)[family]
    return getattr(transformers, kind)(**given)


def test_another_attention_or_code_of_its_own_gets_padded_rows() -> None:
    model = build("Llama")
    model.config._attn_implementation = "flash_attention_2"
    assert why_padded(model) == "packed rows are not tested under flash_attention_2 attention"

    class OwnForCausalLM(type(model)):  # type: ignore[misc]
        """A class as if its code came with the weights."""

    model = build("Llama")
    model.__class__ = OwnForCausalLM
    assert why_padded(model) == "OwnForCausalLM is code of its own"


def test_gemma_2_gets_an_attention_that_has_its_softcap() -> None:
    assert build("Gemma 2").config._attn_implementation == "eager"
    assert build("Llama").config._attn_implementation == "sdpa"


def test_a_mixture_of_experts_that_asks_for_its_router_loss_trains_without_it(
    project_settings: config.Settings, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import families

    monkeypatch.setenv("TQDM_DISABLE", "1")
    given = families._settings(project_settings, "float32")
    trainer = families._trainer(build("Qwen3-MoE", output_router_logits=True), families.pairs(8, 3), given, tmp_path)
    loss, gradient = families._step(trainer, range(3))
    assert loss > 0
    assert gradient.isfinite().all()
    assert "aux_loss" not in trainer._metrics["train"]
