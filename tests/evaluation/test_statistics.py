"""Intervals and tests against hand calculation and published examples."""

from __future__ import annotations

from dataclasses import astuple
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
    clustered_share,
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


def test_the_sign_test_counts_the_throws() -> None:
    for n in range(1, 41):
        for heads in range(n + 1):
            share = sum(comb(n, more) for more in range(heads, n + 1)) / 2**n
            assert sign_test(heads, n) == pytest.approx(share, rel=1e-12)


def test_no_proportion_is_refused() -> None:
    for successes, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(InputError, match="is no proportion"):
            wilson(successes, n)


def test_wilson_of_whole_numbers_is_scipys_to_the_last_digit() -> None:
    for successes, n, confidence in ((0, 7, 0.95), (3, 7, 0.9), (7, 7, 0.95), (114, 250, 0.95), (999, 100_003, 0.99)):
        ends = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
        assert wilson(successes, n, confidence) == Interval(successes / n, ends.low, ends.high, n)


@pytest.mark.parametrize(
    ("successes", "sizes", "effective_n"),
    [
        ([1, 0, 1, 1], [1, 1, 1, 1], 4),  # one pair per prompt
        ([2, 1, 0], [2, 2, 2], 4.5),  # squares 1 + 0 + 1 over 6 / 4: a design effect of 4 / 3
        ([4, 0, 4, 0], [4, 4, 4, 4], 4),  # all pairs of a prompt alike: a prompt counts as one
        ([3, 0], [3, 1], 4 / (2 * 0.75**2 / 0.75)),  # (3 - 2.25)^2 + (0 - 0.75)^2 over 4 x 3/16
        ([1, 1], [2, 2], 4),  # an effect below 1 counts as 1
        ([3, 2], [3, 2], 2),  # nothing varies
        ([0, 0], [3, 2], 2),
    ],
)
def test_the_pairs_of_a_prompt_are_one_cluster(successes: list[int], sizes: list[int], effective_n: float) -> None:
    total, n = sum(successes), sum(sizes)
    found = clustered_share(successes, sizes)
    assert (found.estimate, found.n) == (total / n, n)
    exact = wilson(total, n, effective_n=effective_n)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    if len(sizes) == n:
        assert found == wilson(total, n)


def test_the_mean_interval_is_students() -> None:
    values = [0.0, 0.25, 0.5, 0.5, 1.0]  # mean 0.45, sum of squared deviations 0.55
    half = 2.7764451051977987 * sqrt(0.55 / 4 / 5)  # t at 0.975 with 4 degrees of freedom
    found = mean_interval(values)
    assert (found.estimate, found.n) == (0.45, 5)
    assert (found.low, found.high) == (0.0, pytest.approx(0.45 + half)), "within the range of the score"
    assert mean_interval(values, highest=0.8).high == 0.8
    narrow = mean_interval(values, 0.5)
    assert (narrow.low, narrow.high) == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(0.5), abs=1e-12)


@pytest.mark.parametrize(
    ("values", "highest", "low", "high"),
    [
        ([0.0] * 250, 1.0, 0.0, 1 - 0.025 ** (1 / 250)),
        ([1.0] * 12, 1.0, 0.025 ** (1 / 12), 1.0),
        ([50.0] * 12, 100.0, 50 * 0.025 ** (1 / 12), 100 - 50 * 0.025 ** (1 / 12)),
        ([0.5], 1.0, 0.0125, 0.9875),
        ([0.1 + 0.2, 0.3], 1.0, 0.3 * sqrt(0.025), 1 - 0.7 * sqrt(0.025)),  # equal up to rounding
    ],
)
def test_where_nothing_varies_the_bounds_are_exact(
    values: list[float], highest: float, low: float, high: float
) -> None:
    found = mean_interval(values, highest=highest)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    if values[0] == 0:
        assert found.high == pytest.approx(stats.binomtest(0, len(values)).proportion_ci(method="exact").high)


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
    """The score statistic with the nuisance parameter by brute force instead of Tango's formula."""
    n = gained + lost + ties

    def minus_log_likelihood(share: float) -> float:
        shares = (share + difference, share, 1 - 2 * share - difference)
        return -sum(count * log(max(p, 1e-300)) for count, p in zip((gained, lost, ties), shares, strict=True) if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    share = minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return float((gained - lost - n * difference) / sqrt(n * (2 * share + difference * (1 - difference))))


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


# --- two models' scores ----------------------------------------------------------------------------------------------


def test_scores_are_compared_by_the_paired_t_test() -> None:
    first, second = [0.0, 0.2, 0.5, 0.1, 0.3], [0.4, 0.3, 0.8, 0.0, 0.9]
    found, expected = paired_difference(first, second), stats.ttest_rel(second, first)
    assert (found.difference, found.n, found.gained, found.lost) == (pytest.approx(0.26), 5, 4, 1)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(), abs=1e-12)


@pytest.mark.parametrize(
    ("difference", "n", "highest", "low", "high", "p_value"),
    [
        (0.0, 12, 1.0, -(1 - 0.025 ** (1 / 12)), 1 - 0.025 ** (1 / 12), 1.0),
        (50.0, 12, 100.0, 50 - 150 * (1 - 0.025 ** (1 / 12)), 50 + 50 * (1 - 0.025 ** (1 / 12)), 2 * (100 / 150) ** 12),
        (1.0, 3, 1.0, 1 - 2 * (1 - 0.025 ** (1 / 3)), 1.0, 2 / 2**3),
        (1.0, 1, 1.0, 1 - 2 * 0.975, 1.0, 1.0),
    ],
)
def test_the_same_difference_of_all_items(
    difference: float, n: int, highest: float, low: float, high: float, p_value: float
) -> None:
    found = paired_difference([0.0] * n, [difference] * n, highest=highest)
    assert (found.difference, found.low, found.high) == pytest.approx((difference, low, high))
    assert found.p_value == pytest.approx(p_value)
    turned = paired_difference([difference] * n, [0.0] * n, highest=highest)
    assert (turned.low, turned.high, turned.p_value) == pytest.approx((-high, -low, p_value))


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.0, 1.0]), min_size=1, max_size=30), st.sampled_from([0.9, 0.95]))
@settings(max_examples=150, deadline=None)
def test_the_interval_holds_0_where_p_is_not_below_the_level(differences: list[float], confidence: float) -> None:
    found = paired_difference([0.0] * len(differences), differences, confidence)
    assert (found.low <= 0 <= found.high) == (found.p_value >= 1 - confidence)


# --- several languages -----------------------------------------------------------------------------------------------


def test_copies_of_the_same_answers_are_no_further_evidence() -> None:
    draw = numpy.random.default_rng(6)
    first = {f"i{index}": float(draw.integers(2)) for index in range(80)}
    second = {item: float(draw.integers(2)) for item in first}
    once = macro_comparison({"es": first}, {"es": second})
    copied = macro_comparison(dict.fromkeys(("es", "de", "fr"), first), dict.fromkeys(("fr", "es", "de"), second))
    assert astuple(copied) == pytest.approx(astuple(once))
    expected = stats.ttest_rel(list(second.values()), list(first.values()))
    assert (once.p_value, once.n) == (pytest.approx(expected.pvalue), 80)


def test_languages_with_other_items_are_linearised() -> None:
    values = {"es": {"a": 1.0, "b": 0.0, "c": 1.0}, "de": {"a": 1.0, "b": 0.0}}
    # Averages 2/3 and 1/2; an item contributes 3/2 of its share in each: (1/3)/3 + (1/2)/2 for a.
    expected = stats.ttest_1samp([9 / 8, -1 / 8, 3 / 4], 0)
    found = macro_interval(values, 0.5)
    assert (found.estimate, found.n) == (pytest.approx(7 / 12), 3), "the mean of the languages' own means"
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.5))
    zero = {place: dict.fromkeys(own, 0.0) for place, own in values.items()}
    change = macro_comparison(zero, values)
    assert (change.p_value, change.gained, change.lost) == (pytest.approx(expected.pvalue), 2, 0)


def test_items_are_joined_by_id_not_by_position() -> None:
    first = {"es": {"a": 0.0, "b": 1.0}, "de": {"b": 1.0, "a": 0.0}}
    second = {"de": {"a": 1.0, "b": 1.0}, "es": {"b": 1.0, "a": 1.0}}
    found = macro_comparison(first, second)
    assert (found.difference, found.gained, found.lost, found.n) == (0.5, 1, 0, 2)
    assert macro_interval(first).estimate == 0.5


def test_what_cannot_be_compared_is_refused() -> None:
    values = {"es": {"a": 0.0, "b": 1.0}}
    with pytest.raises(InputError, match="1 items of es are scored for one model alone, the first is 'b'"):
        macro_comparison(values, {"es": {"a": 1.0}})
    with pytest.raises(InputError, match="nothing to average over"):
        macro_interval({})
    with pytest.raises(InputError, match="no items"):
        mean_interval([])
    with pytest.raises(InputError, match="NaN"):
        mean_interval([0.5, float("nan")])
    with pytest.raises(InputError, match="2 and 3 items cannot be paired"):
        paired_accuracy_test([True, False], [True, False, True])


def test_holm_by_hand() -> None:
    assert holm({"es": 0.01, "de": 0.04, "fr": 0.03, "ru": 0.005}) == pytest.approx(
        {"es": 0.03, "de": 0.06, "fr": 0.06, "ru": 0.02}
    )
    assert list(holm({"es": 0.9, "de": 0.6})) == ["es", "de"]
    assert holm({"es": 0.9, "de": 0.6}) == {"es": 1.0, "de": 1.0}
    assert holm({}) == {}
