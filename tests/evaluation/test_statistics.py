"""Intervals and tests against hand calculation and published examples."""

from __future__ import annotations

from itertools import product
from math import comb, log, sqrt

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar

from lidr.errors import InputError
from lidr.evaluation.statistics import (
    Interval,
    Resampling,
    holm,
    macro_comparison,
    macro_interval,
    mean_interval,
    paired_accuracy_test,
    paired_difference,
    sign_test,
    wilson,
)

Z = 1.959963984540054


def answers(both: int, gained: int, lost: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Two models' answers with these counts."""
    first = [True] * both + [False] * gained + [True] * lost + [False] * neither
    second = [True] * both + [True] * gained + [False] * lost + [False] * neither
    return first, second


# --- one proportion, one mean ----------------------------------------------------------------------------------------


def test_wilson_is_the_closed_formula() -> None:
    share, n = 114 / 250, 250
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    found = wilson(114, 250)
    assert (found.estimate, found.n) == (0.456, 250)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-12)
    assert found.high - found.estimate == pytest.approx(0.06, abs=0.003)


def test_the_sign_test_counts_the_throws() -> None:
    for n in range(1, 41):
        for heads in range(n + 1):
            share = sum(comb(n, more) for more in range(heads, n + 1)) / 2**n
            assert sign_test(heads, n) == pytest.approx(share, rel=1e-12)


def test_wilson_at_the_ends() -> None:
    assert wilson(0, 10) == Interval(0.0, 0.0, pytest.approx(Z**2 / (10 + Z**2)), 10)
    assert wilson(10, 10).high == 1.0
    for successes, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(InputError, match="is no proportion"):
            wilson(successes, n)


def test_where_bca_is_not_defined_the_interval_is_the_percentile_one() -> None:
    values = [0.0] * 6 + [1e-150] * 4  # third powers are zero
    rng = numpy.random.default_rng(1)
    means = numpy.array(values)[rng.integers(0, 10, (9_999, 10))].mean(axis=1)
    found = mean_interval(values, Resampling(seed=1))
    assert (found.low, found.high) == pytest.approx(tuple(numpy.quantile(means, [0.025, 0.975])), rel=1e-12, abs=0)


def test_the_mean_interval_of_normal_values_is_nearly_students() -> None:
    values = numpy.random.default_rng(1).normal(10, 2, size=400)
    half = Z * values.std(ddof=1) / sqrt(400)
    found = mean_interval(list(values))
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


@pytest.mark.parametrize("values", [[0.5], [1.0, 1.0, 1.0], [0.0] * 250])
def test_constant_values_have_no_width(values: list[float]) -> None:
    assert mean_interval(values) == Interval(values[0], values[0], values[0], len(values))


def test_nothing_and_nan_are_refused() -> None:
    with pytest.raises(InputError, match="no items"):
        mean_interval([])
    with pytest.raises(InputError, match="NaN"):
        mean_interval([0.5, float("nan")])


def test_confidence_and_resamples_reach_the_interval_and_the_test() -> None:
    values = list(numpy.random.default_rng(3).exponential(size=60))
    narrow, wide = mean_interval(values, Resampling(0.5)), mean_interval(values, Resampling(0.999))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert mean_interval(values, Resampling(resamples=50)) != mean_interval(values, Resampling(resamples=51))
    found = paired_difference([0.0] * 60, values, Resampling(resamples=50))
    assert found.p_value == pytest.approx(2 / 51), "no flip of positive differences reaches their mean"
    assert (found.low, found.high) == (
        mean_interval(values, Resampling(resamples=50)).low,
        mean_interval(values, Resampling(resamples=50)).high,
    )


# --- two models' accuracy --------------------------------------------------------------------------------------------


def test_mcnemar_is_the_exact_sign_test() -> None:
    found = paired_accuracy_test(*answers(both=20, gained=12, lost=3, neither=15))
    assert (found.n, found.gained, found.lost) == (50, 12, 3)
    assert found.difference == pytest.approx(9 / 50)
    assert found.p_value == pytest.approx(2 * sum(comb(15, count) for count in range(4)) / 2**15)


def test_tangos_interval_of_a_published_table() -> None:
    """Airway hyper-responsiveness before and after transplantation, 21 children (Fagerland et al., 2014)."""
    found = paired_accuracy_test(*answers(both=1, gained=1, lost=7, neither=12))
    assert found.difference == pytest.approx(-0.286, abs=5e-4)
    assert (found.low, found.high) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert found.p_value == pytest.approx(0.0703, abs=5e-5)


@pytest.mark.parametrize(
    "counts", [(20, 12, 3, 15), (1, 1, 7, 12), (5, 0, 0, 5), (0, 4, 0, 6), (3, 9, 8, 0), (0, 6, 3, 0)]
)
def test_tangos_interval_ends_where_the_score_test_turns(counts: tuple[int, int, int, int]) -> None:
    both, gained, lost, neither = counts
    found = paired_accuracy_test(*answers(*counts))
    for end in (found.low, found.high):
        assert abs(score_statistic(end, gained, lost, both + neither)) == pytest.approx(Z, abs=2e-3)


def score_statistic(difference: float, gained: int, lost: int, ties: int) -> float:
    """The score statistic with the nuisance parameter found by brute force, not by Tango's formula."""
    n = gained + lost + ties

    def minus_log_likelihood(share: float) -> float:
        shares = (share + difference, share, 1 - 2 * share - difference)
        return -sum(count * log(max(p, 1e-300)) for count, p in zip((gained, lost, ties), shares, strict=True) if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    share = minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return float((gained - lost - n * difference) / sqrt(n * (2 * share + difference * (1 - difference))))


def test_equal_answers_still_leave_doubt() -> None:
    found = paired_accuracy_test(*answers(6, 0, 0, 4))
    width = Z**2 / (10 + Z**2)
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert (found.low, found.high) == pytest.approx((-width, width))


def test_all_gained_or_all_lost() -> None:
    gained, lost = paired_accuracy_test(*answers(0, 10, 0, 0)), paired_accuracy_test(*answers(0, 0, 10, 0))
    assert (gained.difference, gained.high) == (1.0, 1.0)
    assert 0 < gained.low < 1
    assert (lost.low, lost.high) == pytest.approx((-1.0, -gained.low))


@given(st.tuples(*[st.integers(0, 40)] * 4).filter(any))
@settings(max_examples=150, deadline=None)
def test_the_interval_holds_the_difference_and_turns_with_the_models(counts: tuple[int, int, int, int]) -> None:
    first, second = answers(*counts)
    found, turned = paired_accuracy_test(first, second), paired_accuracy_test(second, first)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-6)
    assert turned.p_value == pytest.approx(found.p_value)


def test_other_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="2 and 3 items cannot be paired"):
        paired_accuracy_test([True, False], [True, False, True])
    with pytest.raises(InputError, match="no items"):
        paired_accuracy_test([], [])


# --- two models' scores ----------------------------------------------------------------------------------------------


def test_all_sign_flips_are_counted_for_few_items() -> None:
    first, second = [1.0, 1.2, 1.5, 1.1, 1.3], [1.4, 1.3, 1.8, 1.0, 1.9]
    differences = numpy.subtract(second, first)
    flips = [numpy.dot(signs, differences) for signs in product((-1, 1), repeat=5)]
    expected = sum(abs(flip) >= abs(differences.sum()) - 1e-12 for flip in flips) / 2**5
    found = paired_difference(first, second)
    assert found.p_value == pytest.approx(expected)
    assert found.difference == pytest.approx(0.26)
    assert (found.n, found.gained, found.lost) == (5, 4, 1)
    assert found.low < 0.26 < found.high


def test_one_item_is_no_evidence() -> None:
    found = paired_difference([1.0], [2.0])
    assert (found.difference, found.low, found.high, found.p_value, found.n) == (1.0, 1.0, 1.0, 1.0, 1)


def test_many_items_agree_with_the_paired_t_test() -> None:
    draw = numpy.random.default_rng(2)
    first = draw.uniform(1, 2, size=300)
    second = first + draw.normal(0.02, 0.15, size=300)
    found = paired_difference(list(first), list(second), Resampling(seed=1))
    expected = stats.ttest_rel(second, first)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.015)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.003)


def test_models_without_a_difference_and_with_a_constant_one() -> None:
    same = paired_difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (same.difference, same.low, same.high, same.p_value, same.gained, same.lost) == (0, 0, 0, 1, 0, 0)
    assert paired_difference([1.0] * 3, [2.0] * 3).p_value == pytest.approx(2 / 2**3)


def test_a_seed_gives_the_same_digits() -> None:
    first, second = list(numpy.random.default_rng(4).uniform(size=(2, 50)))
    assert paired_difference(first, second, Resampling(seed=7)) == paired_difference(first, second, Resampling(seed=7))
    assert paired_difference(first, second, Resampling(seed=7)) != paired_difference(first, second, Resampling(seed=8))


# --- several languages -----------------------------------------------------------------------------------------------


def test_the_macro_average_is_clustered_by_item() -> None:
    draw = numpy.random.default_rng(6)
    first = {f"i{index}": float(draw.integers(2)) for index in range(80)}
    second = {item: float(draw.integers(2)) for item in first}
    once = macro_comparison({"es": first}, {"es": second}, Resampling(seed=1))
    copied = macro_comparison(
        dict.fromkeys(("es", "de", "fr"), first), dict.fromkeys(("fr", "es", "de"), second), Resampling(seed=1)
    )
    assert copied == once, "copies of the same answers are no further evidence"
    assert once.n == 80
    assert once == paired_difference(list(first.values()), list(second.values()), Resampling(seed=1))


def test_items_are_joined_by_id_not_by_position() -> None:
    first = {"es": {"a": 0.0, "b": 1.0}, "de": {"b": 1.0, "a": 0.0}}
    second = {"de": {"a": 1.0, "b": 1.0}, "es": {"b": 1.0, "a": 1.0}}
    found = macro_comparison(first, second)
    assert (found.difference, found.gained, found.lost, found.n) == (0.5, 1, 0, 2)
    assert macro_interval(first).estimate == 0.5


def test_other_items_are_refused() -> None:
    values = {"es": {"a": 0.0, "b": 1.0}}
    with pytest.raises(InputError, match="1 items of es are scored for one model alone, the first is 'b'"):
        macro_comparison(values, {"es": {"a": 1.0}})
    with pytest.raises(InputError, match="nothing to average over"):
        macro_interval({})


def test_holm_by_hand() -> None:
    assert holm({"es": 0.01, "de": 0.04, "fr": 0.03, "ru": 0.005}) == pytest.approx(
        {"es": 0.03, "de": 0.06, "fr": 0.06, "ru": 0.02}
    )
    assert list(holm({"es": 0.9, "de": 0.6})) == ["es", "de"]
    assert holm({"es": 0.9, "de": 0.6}) == {"es": 1.0, "de": 1.0}
    assert holm({}) == {}
