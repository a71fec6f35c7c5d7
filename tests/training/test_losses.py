"""Losses of `train.dpo.loss_type` and the objective `sft`: value and gradient equal those of TRL's trainer."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from lidr import config
from lidr.config.training import LossType
from lidr.config.training_keys import LOSSES_LEFT_OUT

pytest.importorskip("torch")

import families
from families import TOLERANCE, measure

from lidr.training import head
from lidr.training.arguments import arguments

LOSSES: dict[str, dict[str, Any]] = {
    "sigmoid": {},
    "hinge": {"beta": 0.5},
    "ipo": {},
    "exo_pair": {"label_smoothing": 1e-3},
    "nca_pair": {},
    "robust": {"label_smoothing": 0.1},
    "bco_pair": {},
    "sppo_hard": {},
    "apo_zero": {},
    "apo_down": {},
    # Its gradient has the rounding of a log-ratio times beta / tau.
    "discopop": {"discopop_tau": 0.5},
    "sigmoid_norm": {"beta": 2.0},
}
OTHERS: dict[str, dict[str, Any]] = {
    "several": {
        "loss_type": ["sigmoid", "bco_pair", "robust"],
        "loss_weights": [0.8, 0.2, 0.1],
        "label_smoothing": 0.1,
    },
    "likelihood beside it": {"loss_type": "ipo", "alpha": 0.7},
    "another divergence": {"f_divergence_type": "js_divergence"},
    "LD-DPO": {"ld_alpha": 0.3},
    "supervised": {"objective": "sft"},
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")


ALONE = {name: {"loss_type": name} | values for name, values in LOSSES.items()}


@pytest.mark.parametrize("values", (ALONE | OTHERS).values(), ids=ALONE | OTHERS)
def test_loss_and_gradient_are_trls(values: dict[str, Any], project_settings: config.Settings) -> None:
    check("Llama", {"alpha": 0.0} | values, project_settings, "packed")


@pytest.mark.parametrize(
    "values", [{"loss_type": "ipo", "alpha": 0.7}, {"objective": "sft"}], ids=["ipo", "supervised"]
)
def test_padded_rows_give_trls_loss_too(values: dict[str, Any], project_settings: config.Settings) -> None:
    check("Bloom", values, project_settings, "padded: packed rows are not tested for bloom models")


def check(family: str, values: dict[str, Any], settings: config.Settings, rows: str) -> None:
    # Losses are computed from log-probabilities, which test_families.py compares.
    found = measure(family, "float32", settings, ways=[("alone", head.AT_ONCE)], **values)
    assert found["rows"] == rows
    assert found["loss"] < TOLERANCE["float32"]
    assert found["gradient"] < TOLERANCE["float32"]


def test_every_loss_of_trl_is_taken_or_left_out_with_its_reason() -> None:
    from trl.trainer.dpo_config import DPOConfig

    said = next(field for field in fields(DPOConfig) if field.name == "loss_type").metadata["help"]
    offered = set(re.findall(r"`'(\w+)'`", said))
    assert {"sigmoid", "sft"} < offered
    assert set(get_args(LossType)) | set(LOSSES_LEFT_OUT) == offered
    assert set(LOSSES) == set(get_args(LossType))


def test_values_reach_trl_as_they_are(project_settings: config.Settings, tmp_path: Path) -> None:
    values = {"loss_type": ["sigmoid", "hinge"], "loss_weights": [0.8, 0.2], "adam_beta2": 0.95, "warmup_steps": 7}
    settings = families._settings(project_settings, "float32", alpha=2.0, **values)
    given = arguments(settings.train, settings, tmp_path)
    assert (given.loss_type, given.loss_weights) == (["sigmoid", "hinge"], [0.8, 0.2])
    assert (given.adam_beta2, given.warmup_steps, given.beta, given.max_length) == (0.95, 7, 0.1, 256)
    assert (given.per_device_train_batch_size, given.gradient_accumulation_steps) == (3, 1)
    assert (given.per_device_eval_batch_size, given.seed, given.report_to) == (12, settings.seed, [])
    settings = families._settings(project_settings, "float32", objective="sft", **values)
    given = arguments(settings.train, settings, tmp_path)
    assert (given.loss_type, given.loss_weights) == (["sft"], None)


def test_adapter_is_what_lora_s_keys_say(project_settings: config.Settings, tmp_path: Path) -> None:
    lora = {"r": 3, "lora_alpha": 5, "use_rslora": True, "target_modules": ["q_proj", "v_proj"]}
    settings = families._settings(project_settings, "float32", lora=lora)
    trainer = families._trainer(families.build("Llama"), families.pairs(8, 3), settings, tmp_path)
    made = trainer.model.peft_config["default"]
    assert (made.r, made.lora_alpha, made.use_rslora) == (3, 5, True)
    assert made.target_modules == {"q_proj", "v_proj"}
    layer = trainer.model.base_model.model.model.layers[0].self_attn.q_proj
    assert layer.scaling["default"] == pytest.approx(5 / 3**0.5)
