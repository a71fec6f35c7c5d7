"""Intervals and tests against hand calculation, published examples and scipy."""

from __future__ import annotations

import warnings
from itertools import product
from math import comb, isnan, log, sqrt
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq, minimize_scalar

from lidr.errors import InputError
from lidr.evals import statistics
from lidr.evals.statistics import (
    Interval,
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

# Samples of a size as scores may be: of one model, of averages over languages, skewed, with no room between its values.
SAMPLES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "win rates": lambda rng, n: rng.choice([0.0, 50.0, 100.0], n),
    "averages of three": lambda rng, n: rng.choice([0.0, 1.0], (n, 3)).mean(axis=1),
    "differences of averages of seven": lambda rng, n: rng.choice([-1.0, 0.0, 1.0], (n, 7)).mean(axis=1),
    "balanced": lambda rng, n: numpy.resize(numpy.array([1, -1, 3, -3]) / 7, n),
    "skewed": lambda rng, n: rng.exponential(size=n) ** 3,
    "one that stands out": lambda rng, n: numpy.eye(1, n)[0] * 1e6,
    "too small for a third power": lambda rng, n: rng.choice([0.0, 1e-150], n),
    "last digits": lambda rng, n: 1 + rng.choice([0.0, 2.3e-16], n),
    "all the same": lambda rng, n: numpy.full(n, 0.3),
}
SIZES = [*range(2, 16), 57, 250, 1_001]  # beyond 13 flips are drawn, beyond 1,000 nothing is kept


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


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (1, 2), (114, 250), (249, 250), (7, 3_000_000)])
def test_wilson_is_scipys(successes: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    found = wilson(successes, n, confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("successes", "n"),
    [(0, 0), (0, 5), (1, 5), (3, 5), (5, 5), (6, 5), (50, 100), (51, 100), (49, 100), (500_800, 1_000_000)],
)
def test_the_sign_test_is_scipys(successes: int, n: int) -> None:
    assert sign_test(successes, n) == pytest.approx(float(stats.binom.sf(successes - 1, n, 0.5)), rel=1e-8)


def test_few_throws_are_counted_to_the_last_digit() -> None:
    for n in range(1, 41):
        for heads in range(n + 1):
            assert sign_test(heads, n) == sum(comb(n, more) for more in range(heads, n + 1)) / 2**n


def test_wilson_at_the_ends() -> None:
    assert wilson(0, 10) == Interval(0.0, 0.0, pytest.approx(Z**2 / (10 + Z**2)), 10)
    assert wilson(10, 10).high == 1.0
    for successes, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(InputError, match="is no proportion"):
            wilson(successes, n)


def scipys_interval(values: numpy.ndarray, confidence: float, seed: int) -> tuple[float, float]:
    """SciPy's BCa interval, or its percentile interval where that is NaN."""
    for method in ("BCa", "percentile"):
        rng = numpy.random.default_rng(seed)
        options: dict[str, Any] = {"confidence_level": confidence, "n_resamples": 9_999, "batch": 1_000, "rng": rng}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            low, high = stats.bootstrap((values,), numpy.mean, method=method, **options).confidence_interval
        if not isnan(low) and not isnan(high):
            break
    return float(low), float(high)


@pytest.mark.parametrize("kind", [kind for kind in SAMPLES if kind != "all the same"])
def test_the_mean_interval_is_scipys(kind: str) -> None:
    for n in SIZES:
        values = SAMPLES[kind](numpy.random.default_rng(n), n)
        if numpy.ptp(values) > 0:
            found = mean_interval(list(values), 0.95, seed=n % 3)
            expected = scipys_interval(values, 0.95, seed=n % 3)
            assert (found.low, found.high) == pytest.approx(expected, rel=1e-12, abs=1e-12 * abs(values).max()), n


def test_the_mean_interval_is_scipys_at_any_confidence_and_seed() -> None:
    values = numpy.random.default_rng(3).exponential(size=60)
    for confidence, seed in product((0.5, 0.9, 0.999), (0, 5)):
        found = mean_interval(list(values), confidence, seed)
        assert (found.low, found.high) == pytest.approx(scipys_interval(values, confidence, seed), rel=1e-12)
        assert found.estimate == pytest.approx(values.mean())


def test_where_bca_is_not_defined_the_interval_is_the_percentile_one() -> None:
    values = [0.0] * 6 + [1e-150] * 4  # third powers are zero
    rng = numpy.random.default_rng(1)
    means = numpy.array(values)[rng.integers(0, 10, (9_999, 10))].mean(axis=1)
    found = mean_interval(values, seed=1)
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


# --- two models' accuracy --------------------------------------------------------------------------------------------


def test_mcnemar_is_the_exact_sign_test() -> None:
    found = paired_accuracy_test(*answers(both=20, gained=12, lost=3, neither=15))
    assert (found.n, found.gained, found.lost) == (50, 12, 3)
    assert found.difference == pytest.approx(9 / 50)
    assert found.p_value == pytest.approx(2 * sum(comb(15, count) for count in range(4)) / 2**15)


def test_mcnemar_and_tangos_interval_are_scipys_in_every_small_table() -> None:
    for n in range(1, 13):
        for gained, lost in product(range(n + 1), repeat=2):
            if gained + lost <= n:
                found = paired_accuracy_test(*answers(0, gained, lost, n - gained - lost))
                p_value = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
                assert found.p_value == pytest.approx(p_value, rel=1e-14)
                expected = brents_interval(gained, lost, n)
                assert (found.low, found.high) == pytest.approx(expected, abs=1e-11), (gained, lost, n)


def brents_interval(gained: int, lost: int, n: int) -> tuple[float, float]:
    """Tango's limits by SciPy's root finder."""
    estimate, edge = (gained - lost) / n, 1 - 1e-12

    def excess(difference: float) -> float:
        distance = gained - lost - n * difference
        linear = (2 * n - gained + lost) * difference - gained - lost
        share = max(numpy.roots([2 * n, linear, -lost * difference * (1 - difference)]).real)
        variance = n * (2 * share + difference * (1 - difference))
        return abs(distance) / sqrt(max(variance, 1e-300)) - Z if distance else -Z

    low = brentq(excess, -edge, estimate, xtol=1e-13) if estimate > -1 else -1.0
    high = brentq(excess, estimate, edge, xtol=1e-13) if estimate < 1 else 1.0
    return low, high


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


def scipys_sign_flip(values: numpy.ndarray, seed: int) -> float:
    """SciPy's permutation test where it counts all flips, beyond that its Monte Carlo test of the same flips."""

    def mean(sample: numpy.ndarray, axis: int) -> numpy.ndarray:
        return sample.mean(axis=axis)

    if 2 ** len(values) <= 9_999:
        return float(stats.permutation_test((values,), mean, permutation_type="samples", vectorized=True).pvalue)
    rng = numpy.random.default_rng(seed)

    def flipped(size: tuple[int, int]) -> numpy.ndarray:
        return rng.choice((-1.0, 1.0), size=size) * values

    options: dict[str, Any] = {"vectorized": True, "n_resamples": 9_999, "batch": 1_000}
    return float(stats.monte_carlo_test(values, flipped, mean, **options).pvalue)


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_sign_flip_test_is_scipys(kind: str) -> None:
    for n in SIZES:
        values = SAMPLES[kind](numpy.random.default_rng(n), n)
        found = paired_difference([0.0] * n, list(values), seed=n % 3)
        expected = scipys_sign_flip(values, seed=n % 3) if values.any() else 1.0
        assert found.p_value == pytest.approx(expected, rel=1e-12), n


def test_one_item_is_no_evidence() -> None:
    found = paired_difference([1.0], [2.0])
    assert (found.difference, found.low, found.high, found.p_value, found.n) == (1.0, 1.0, 1.0, 1.0, 1)


def test_what_is_kept_of_one_sample_changes_no_other() -> None:
    draw = numpy.random.default_rng(8)
    samples = [list(draw.normal(size=n)) for n in (40, 40, 41, 40)]
    together = [paired_difference([0.0] * len(values), values, seed) for values in samples for seed in (1, 2)]
    alone = []
    for values, seed in product(samples, (1, 2)):
        statistics._kept.cache_clear()
        alone.append(paired_difference([0.0] * len(values), values, seed))
    assert together == alone


def test_many_items_agree_with_the_paired_t_test() -> None:
    draw = numpy.random.default_rng(2)
    first = draw.uniform(1, 2, size=300)
    second = first + draw.normal(0.02, 0.15, size=300)
    found = paired_difference(list(first), list(second), seed=1)
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
    assert paired_difference(first, second, seed=7) == paired_difference(first, second, seed=7)
    assert paired_difference(first, second, seed=7) != paired_difference(first, second, seed=8)


# --- several languages -----------------------------------------------------------------------------------------------


def test_the_macro_average_is_clustered_by_item() -> None:
    draw = numpy.random.default_rng(6)
    first = {f"i{index}": float(draw.integers(2)) for index in range(80)}
    second = {item: float(draw.integers(2)) for item in first}
    once = macro_comparison({"es": first}, {"es": second}, seed=1)
    copied = macro_comparison(
        dict.fromkeys(("es", "de", "fr"), first), dict.fromkeys(("fr", "es", "de"), second), seed=1
    )
    assert copied == once, "copies of the same answers are no further evidence"
    assert once.n == 80
    assert once == paired_difference(list(first.values()), list(second.values()), seed=1)


def test_items_are_joined_by_id_not_by_position() -> None:
    first = {"es": {"a": 0.0, "b": 1.0}, "de": {"b": 1.0, "a": 0.0}}
    second = {"de": {"a": 1.0, "b": 1.0}, "es": {"b": 1.0, "a": 1.0}}
    found = macro_comparison(first, second)
    assert (found.difference, found.gained, found.lost, found.n) == (0.5, 1, 0, 2)
    assert macro_interval(first).estimate == 0.5


def test_what_is_not_parallel_is_refused() -> None:
    values = {"es": {"a": 0.0, "b": 1.0}}
    with pytest.raises(InputError, match=r"scored in \['es'\] and in \['de'\]"):
        macro_comparison(values, {"de": values["es"]})
    with pytest.raises(
        InputError, match="1 items are not in both the first model and the second model: 'b' is only in"
    ):
        macro_comparison(values, {"es": {"a": 1.0}})
    with pytest.raises(InputError, match="not in both es and de: 'b' is only in es"):
        macro_interval(values | {"de": {"a": 1.0}})
    with pytest.raises(InputError, match="no languages"):
        macro_interval({})


def test_holm_by_hand() -> None:
    assert holm({"es": 0.01, "de": 0.04, "fr": 0.03, "ru": 0.005}) == pytest.approx(
        {"es": 0.03, "de": 0.06, "fr": 0.06, "ru": 0.02}
    )
    assert list(holm({"es": 0.9, "de": 0.6})) == ["es", "de"]
    assert holm({"es": 0.9, "de": 0.6}) == {"es": 1.0, "de": 1.0}
    assert holm({}) == {}
