"""Rounding: every float in written records and figures has six decimals."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from factories import prompt

from lidr.evaluation.answers import write
from lidr.evaluation.registry import Benchmark
from lidr.records import Record, Score
from lidr.records.rounding import rounded

SCORE = Score(id="p", lang="es", sample=0, policy=-1.23456789, reference=None, tokens=3)


class Chrf(Record, frozen=True):
    id: str
    chrf: float


class ChrfBenchmark(Benchmark):
    name = "chrf"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2 / 3, "0.666667"),
        (-1e-9, "0.0"),
        (numpy.float64(1 / 3), "0.333333"),
        (3, "3"),
        (True, "True"),
        ({"es": {"low": 1 / 3, "n": 3}}, "{'es': {'low': 0.333333, 'n': 3}}"),
        (SCORE, repr(Score(id="p", lang="es", sample=0, policy=-1.234568, reference=None, tokens=3))),
        (prompt("p", "es"), repr(prompt("p", "es"))),
    ],
)
def test_floats_have_six_decimals(value: Any, expected: str) -> None:
    assert repr(rounded(value)) == expected


def test_a_benchmark_s_own_metric_is_written_rounded(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(ChrfBenchmark(), "m0", [Chrf(id="a", chrf=2 / 3)], {})
    assert ChrfBenchmark().path("m0").read_text() == '{"id":"a","chrf":0.666667}\n'
