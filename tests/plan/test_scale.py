"""The table of docs/scale.md by hand: its counts, its quotients, and the limit of each scale."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from factories import ROOT

from lidr import config

sys.path.insert(0, str(ROOT / "docs"))
import scale

from test_plan import LLAMA_8B, measured  # isort: skip

PAPER = config.load(ROOT / "profiles" / "paper.yaml")


def test_measures_are_those_of_the_models_config(tmp_path: Path) -> None:
    found = measured(tmp_path / "llama", LLAMA_8B)
    assert replace(found, name=scale.LLAMA_8B.name) == scale.LLAMA_8B


def test_the_papers_own_run() -> None:
    one = scale.estimate(1, PAPER)
    # Two iterations of 5,000 answers and 8,000 translations, of which 200 are sent back; three models on 2,500 problems
    # and 4,025 instructions.
    assert one.rows == 2 * (5000 + 8200) + 3 * (2500 + 4025)
    # A translation is half as long again as the 300 tokens of an answer.
    assert one.generated == 2 * (5000 * 300 + 8200 * 450) + 3 * (2500 + 4025) * 300
    assert (one.pairs, one.trained) == (2 * 8000, 2 * 8000 * 1050)
    assert one.bytes_in_training == 8000 * 1050 * 36
    assert one.judge_hours == pytest.approx(12_075 * 2 / 8 / 3600)
    assert one.judge_cost == pytest.approx(12_075 * (1150 * 10 + 30) / 1e6)
    hours = one.generation_hours + one.training_hours
    assert one.gpu_cost == pytest.approx(2.5 * hours)


def test_each_scale_has_its_bottleneck() -> None:
    assert [scale.estimate(times, PAPER).bottleneck for times in (1, 10, 1000)] == [
        "training",
        "training",
        "memory in `train`",
    ]
