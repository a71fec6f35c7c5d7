"""The lab's base and an adapter on it, for all tests of engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from at_hand import KINDS, AtHand, opened

from lidr import config, paths
from lidr.models import base, policy
from lidr.records.jsonl import write_json


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, project_settings: config.Settings) -> Path:
    """m0 and m1: the base, and an adapter of random weights, small enough that answers stay answers."""
    folder = tmp_path_factory.mktemp("models")
    base.run(project_settings, folder / "m0")
    add_adapter(folder)
    return folder


@pytest.fixture(scope="session", params=KINDS)
def at_hand(request: pytest.FixtureRequest, models: Path) -> Iterator[AtHand]:
    """Each engine that can run here, opened once for all tests."""
    with opened(request.param, models) as found:
        yield found


def add_adapter(folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    base_policy = policy.resolve("m0", folder)
    torch.manual_seed(0)
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(
        policy.load_base(base_policy, torch.float32), LoraConfig(r=16, lora_alpha=32, target_modules=modules)
    )
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.01)
    model.save_pretrained(folder / "m1")
    fingerprint = base_policy.fingerprint
    record = policy.AdapterRecord(
        model="m1", previous="m0", base=fingerprint, reference=fingerprint, pairs="0" * 64, rows=0
    )
    write_json(folder / "m1" / paths.RECORD, record)
