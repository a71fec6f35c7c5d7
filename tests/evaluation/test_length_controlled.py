"""The length-controlled win rate against a general optimiser, and degenerate cases."""

from __future__ import annotations

import random

import numpy
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from lidr.errors import InputError
from lidr.evaluation.alpaca.length_controlled import length_controlled

Rows = tuple[list[float | None], list[int], list[int]]


def rows(n: int, taste: float, lead: float, seed: int = 1) -> Rows:
    """Preferences of a judge with the length bias `taste`; the model's answers are `lead` characters longer."""
    draw = random.Random(seed)
    baseline = [draw.randrange(200, 2_000) for _ in range(n)]
    own = [max(1, int(length + draw.gauss(lead, 400))) for length in baseline]
    wins = [
        float(expit(-0.4 + taste * (mine - theirs) / 400 + draw.gauss(0, 1)))
        for mine, theirs in zip(own, baseline, strict=True)
    ]
    return [1 + win for win in wins], own, baseline


def by_optimiser(preferences: list[float | None], own: list[int], baseline: list[int]) -> float:
    difference = numpy.array(own, float) - numpy.array(baseline, float)
    length = numpy.tanh(difference / difference.std(ddof=1))
    judged = numpy.array([p is not None for p in preferences])
    wins = numpy.array([0.0 if p is None else p - 1 for p in preferences])

    def loss(x: numpy.ndarray) -> float:
        likely = x[0] + x[1] * length
        return float((numpy.logaddexp(0, likely) - wins * likely)[judged].sum())

    return 100 * float(expit(minimize(loss, numpy.zeros(2), tol=1e-12).x[0]))


@pytest.mark.parametrize(("taste", "lead"), [(0.0, 0.0), (1.0, 300.0), (-0.8, 900.0), (2.0, -500.0)])
def test_the_fit_is_the_optimisers(taste: float, lead: float) -> None:
    data = rows(300, taste, lead)
    found = length_controlled(*data, resamples=200, seed=1)
    assert found.estimate == pytest.approx(by_optimiser(*data), abs=1e-3)
    assert found.low < found.estimate < found.high and found.n == 300


def test_unjudged_rows_do_not_count() -> None:
    preferences, own, baseline = rows(200, 1.0, 300.0)
    preferences[3] = preferences[77] = None
    found = length_controlled(preferences, own, baseline, resamples=100, seed=1)
    assert found.n == 198
    assert found.estimate == pytest.approx(by_optimiser(preferences, own, baseline), abs=1e-3)


def test_interval_is_narrower_with_more_rows_and_the_same_for_a_seed() -> None:
    few, many = (length_controlled(*rows(n, 1.0, 0.0), resamples=500, seed=1) for n in (100, 1_600))
    assert 2.5 < (few.high - few.low) / (many.high - many.low) < 6
    assert few == length_controlled(*rows(100, 1.0, 0.0), resamples=500, seed=1)


@pytest.mark.parametrize(("preference", "rate"), [(1.5, 50.0), (2.0, 100.0), (1.0, 0.0)])
def test_rows_without_any_difference(preference: float, rate: float) -> None:
    same = length_controlled([preference] * 50, [7] * 50, [7] * 50, resamples=100, seed=1)
    assert (same.estimate, same.low, same.high) == pytest.approx((rate, rate, rate), abs=1e-4)
    own = list(range(50))
    other = length_controlled([preference] * 50, own, [7] * 50, resamples=100, seed=1)
    assert other.estimate == pytest.approx(rate, abs=0.01)


def test_one_row_and_none() -> None:
    assert length_controlled([2.0], [3], [9], resamples=50, seed=1).n == 1
    with pytest.raises(InputError, match="no item is judged"):
        length_controlled([None], [3], [9], resamples=50, seed=1)
