"""The table of docs/scale.md by hand: what is counted, what is divided by what, and where each scale gives way."""

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
    # Two iterations of 5,000 answers and 8,000 translations, three models on 2,500 problems and 4,025 instructions.
    assert one.rows == 2 * (5000 + 8000) + 3 * (2500 + 4025)
    # A translation is half as long again as the 300 tokens of an answer.
    assert one.generated == 2 * (5000 * 300 + 8000 * 450) + 3 * (2500 + 4025) * 300
    assert (one.pairs, one.trained) == (2 * 8000, 2 * 8000 * 1050)
    assert one.bytes_in_training == 8000 * 1050 * 36
    assert one.judge_hours == pytest.approx(12_075 * 2 / 8 / 3600)
    assert one.judge_cost == pytest.approx(12_075 * (1150 * 10 + 30) / 1e6)
    hours = one.generation_hours + one.training_hours
    assert one.gpu_cost == pytest.approx(2.5 * hours)


def test_rates_are_the_roofline_by_hand() -> None:
    multiplied, cache = 8_030_261_248 - 128_256 * 4096, 256 * 2 * 32 * 8 * 128 * 2 * 300
    one = scale.estimate(1, PAPER)
    rate = 0.4 * 256 / ((2 * multiplied + cache) / 3.35e12)
    assert one.generation_hours == pytest.approx(one.generated / rate / 3600)
    # A micro-batch is one pair of two rows of 450 tokens: launching its kernels takes longer than computing them.
    launched, computed = 32 * 0.0075, 2 * 450 * 8 * multiplied / (0.4 * 989e12)
    assert launched > computed
    assert one.training_hours == pytest.approx(one.trained / (2 * 450 / launched) / 3600)


def test_more_prompts_are_more_of_all_but_the_evaluations() -> None:
    one, ten, thousand = (scale.estimate(times, PAPER) for times in (1, 10, 1000))
    evaluated = 3 * (2500 + 4025)
    assert ten.rows - evaluated == 10 * (one.rows - evaluated)
    assert thousand.trained == 1000 * one.trained
    assert one.judge_hours == ten.judge_hours == thousand.judge_hours
    # A step of eight pairs keeps eight GPUs busy and no more.
    assert [e.training_gpus for e in (one, ten, thousand)] == [1, 8, 8]
    assert thousand.training_hours == pytest.approx(1000 * one.training_hours / 8)


def test_each_scale_has_its_bottleneck() -> None:
    assert [scale.estimate(times, PAPER).bottleneck for times in (1, 10, 1000)] == [
        "training",
        "training",
        "memory in `train`",
    ]
