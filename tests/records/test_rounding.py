"""Rounding: every float in written records and figures has six decimals."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from factories import prompt

from lidr.records import Score
from lidr.records.rounding import rounded

SCORE = Score(id="p", lang="es", sample=0, policy=-1.23456789, reference=None, tokens=3)


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
