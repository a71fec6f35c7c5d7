"""Confidence intervals and paired tests for what the evaluations report.

    >>> wilson(114, 250)
    Interval(estimate=0.456, low=0.395..., high=0.517..., n=250)
    >>> paired_accuracy_test([False, False, True, False], [True, True, True, False])
    PairedTest(difference=0.5, low=..., high=..., p_value=0.5, n=4, gained=2, lost=0, p_holm=None)

SciPy computes them, except for Tango's interval and Holm's adjustment, which it lacks. A comparison of two models is on
the same items and always 'second minus first'. Resampling is seeded: a rerun gives the same digits. Unequal ids or
lengths, no items at all and NaN raise InputError.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isnan, sqrt
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Any

from lidr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 1_000  # resamples at a time: bounds the memory, changes no digit


@dataclass(frozen=True)
class Resampling:
    """The confidence of intervals, and what bootstraps and permutation tests are drawn by."""

    confidence: float = 0.95
    seed: int = 0
    resamples: int = 9_999


USUAL = Resampling()

ByPlace = Mapping[str, Mapping[str, float]]  # a value for each item id, by language or task


@dataclass(frozen=True)
class Interval:
    """An estimate from n items with its confidence interval."""

    estimate: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PairedTest:
    """Second minus first on n items, with the interval, the two-sided p value and the items gained and lost.

    `p_holm` is the p value adjusted over a family of tests, where the test is in one.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    gained: int
    lost: int
    p_holm: float | None = None

    @property
    def p(self) -> float:
        """The p value that decides: Holm's where there is one."""
        return self.p_value if self.p_holm is None else self.p_holm


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (E. B. Wilson, JASA 22, 1927)."""
    from scipy.stats import binomtest

    if not 0 <= successes <= n or n == 0:
        raise InputError(f"{successes} of {n} is no proportion; at least one item is expected")
    ends = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(successes / n, float(ends.low), float(ends.high), n)


def sign_test(successes: int, n: int) -> float:
    """The exact probability of at least `successes` heads in n throws of a fair coin; 1 where none was thrown."""
    from scipy.stats import binom

    return float(binom.sf(successes - 1, n, 0.5))


def mean_interval(values: Sequence[float], how: Resampling = USUAL) -> Interval:
    """The mean with its BCa bootstrap interval (B. Efron, JASA 82, 1987), or the percentile one where BCa is undefined.

    Where all values are the same there is nothing to resample: both ends are then the mean, and only n tells how much
    that is worth.
    """
    import numpy
    from scipy.stats import bootstrap

    _check_values(values)
    sample = numpy.asarray(values, dtype=float)
    if numpy.ptp(sample) == 0:
        return Interval(values[0], values[0], values[0], len(values))
    low = high = float("nan")
    for method in ("BCa", "percentile"):
        if isnan(low) or isnan(high):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # DegenerateDataWarning: seen by the NaN
                low, high = bootstrap(
                    (sample,),
                    numpy.mean,
                    confidence_level=how.confidence,
                    n_resamples=how.resamples,
                    batch=BATCH,
                    method=method,
                    rng=numpy.random.default_rng(how.seed),
                ).confidence_interval
    return Interval(fmean(values), float(low), float(high), len(values))


def paired_accuracy_test(first: Sequence[bool], second: Sequence[bool], confidence: float = 0.95) -> PairedTest:
    """Right and wrong answers of two models to the same items.

    p is that of the exact McNemar test: a binomial test of the items that only one model got right. The interval is
    Tango's score interval (Statistics in Medicine 17, 1998), which inverts the score test of the same table: unlike
    Wald's it holds its level with few discordant items, and unlike a bootstrap it has a width when there are none.
    """
    from scipy.stats import binomtest

    _check_lengths(first, second)
    gained = sum(bool(after) and not before for before, after in zip(first, second, strict=True))
    lost = sum(bool(before) and not after for before, after in zip(first, second, strict=True))
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    low, high = _tango(gained, lost, len(first), confidence)
    return PairedTest((gained - lost) / len(first), low, high, p_value, len(first), gained, lost)


def paired_difference(first: Sequence[float], second: Sequence[float], how: Resampling = USUAL) -> PairedTest:
    """Scores of two models on the same items, such as preferences over a common baseline.

    The interval is a BCa bootstrap of the mean difference, p that of the sign-flip permutation test: if the models
    were alike, each item's difference could as well have the other sign. Where there are no more flips than
    `how.resamples` all of them are counted; otherwise p cannot fall below 2 / (how.resamples + 1).
    """
    _check_lengths(first, second)
    differences = [after - before for before, after in zip(first, second, strict=True)]
    interval = mean_interval(differences, how)
    gained, lost = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    p_value = _sign_flip(differences, how)
    return PairedTest(interval.estimate, interval.low, interval.high, p_value, interval.n, gained, lost)


def macro_interval(values: ByPlace, how: Resampling = USUAL) -> Interval:
    """The average over places, with an interval that takes the items, not the answers, as the sample.

    The languages' items are translations of each other: a hard problem is hard in all of them, and answers to it are
    no independent evidence. So items that share an id are one unit: with the same items everywhere, each item's mean
    over the places. Tasks need not have the same items: the average of means is then a sum of ratios, linearised
    (Taylor) at the means, so that one value an item is resampled.
    """
    if not values:
        raise InputError("nothing to average over; at least one language or task is expected")
    found = mean_interval(_linearised(values), how)
    # An average lies among what it averages; linearised in a place of few items, the ends may not.
    every = [value for own in values.values() for value in own.values()]
    return Interval(found.estimate, max(found.low, min(every)), min(found.high, max(every)), found.n)


def macro_comparison(first: ByPlace, second: ByPlace, how: Resampling = USUAL) -> PairedTest:
    """Two models' averages over places, in each of them on the same items; see `macro_interval`."""
    for place in first:
        if odd := sorted(first[place].keys() ^ second[place].keys()):
            raise InputError(f"{len(odd)} items of {place} are scored for one model alone, the first is {odd[0]!r}")
    differences = {
        place: {item: second[place][item] - value for item, value in values.items()} for place, values in first.items()
    }
    interval = macro_interval(differences, how)
    parts = _parts(differences)
    gained, lost = sum(part > 0 for part in parts), sum(part < 0 for part in parts)
    p_value = _sign_flip(parts, how)
    return PairedTest(interval.estimate, interval.low, interval.high, p_value, interval.n, gained, lost)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values adjusted for their number (S. Holm, Scandinavian Journal of Statistics 6, 1979), in the order given."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def _sign_flip(differences: Sequence[float], how: Resampling) -> float:
    import numpy
    from scipy.stats import monte_carlo_test, permutation_test

    sample = numpy.asarray(differences, dtype=float)
    if len(sample) == 1 or not sample.any():
        return 1.0

    def mean(values: NDArray[Any], axis: int) -> NDArray[Any]:
        return values.mean(axis=axis)

    if 2 ** len(sample) <= how.resamples:
        test = permutation_test((sample,), mean, permutation_type="samples", vectorized=True, n_resamples=how.resamples)
    else:  # permutation_test draws the same flips in eight times the time
        rng = numpy.random.default_rng(how.seed)

        def flipped(size: tuple[int, int]) -> NDArray[Any]:
            return rng.choice((-1.0, 1.0), size=size) * sample

        test = monte_carlo_test(sample, flipped, mean, vectorized=True, n_resamples=how.resamples, batch=BATCH)
    return float(test.pvalue)


def _tango(gained: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """The differences that the score test does not reject."""
    from scipy.optimize import brentq

    bound = NormalDist().inv_cdf((1 + confidence) / 2)
    estimate, edge = (gained - lost) / n, 1 - 1e-12

    def end(outside: float, score: float) -> float:
        return float(brentq(lambda d: _tango_score(d, gained, lost, n) - score, estimate, outside, xtol=1e-14))

    return end(-edge, bound) if estimate > -1 else -1.0, end(edge, -bound) if estimate < 1 else 1.0


def _tango_score(difference: float, gained: int, lost: int, n: int) -> float:
    """The score statistic of the hypothesis that gained and lost items' shares differ by `difference`."""
    distance = gained - lost - n * difference
    if distance == 0:
        return 0.0
    # The share of lost items that is most likely under the hypothesis solves 2n q^2 + linear q + constant = 0.
    linear = (2 * n - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    share = (sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    return distance / sqrt(n * max(1e-300, 2 * share + difference * (1 - difference)))


def _parts(values: ByPlace) -> list[float]:
    """What each item adds to the average over places, scaled so that the mean of the parts is that average."""
    first, *others = values.values()
    if all(own.keys() == first.keys() for own in others):
        # Exactly: rounding would part what is equal, and an interval counts ties.
        return [fmean(own[item] for own in values.values()) for item in first]
    items = dict.fromkeys(item for by_item in values.values() for item in by_item)
    scale = len(items) / len(values)
    return [scale * fsum(own[item] / len(own) for own in values.values() if item in own) for item in items]


def _linearised(values: ByPlace) -> list[float]:
    """One value per item whose mean is the average over places (Taylor linearisation of a sum of ratios)."""
    first, *others = values.values()
    if all(own.keys() == first.keys() for own in others):
        return _parts(values)
    means = {place: fmean(own.values()) for place, own in values.items()}
    average = fmean(means.values())
    deviations = {place: {item: value - means[place] for item, value in own.items()} for place, own in values.items()}
    return [average + part for part in _parts(deviations)]


def is_binary(scores: Sequence[float]) -> bool:
    """Whether each score is 0 or 1."""
    return all(score in (0, 1) for score in scores)


def _check_lengths(first: Sequence[float], second: Sequence[float]) -> None:
    if len(first) != len(second):
        raise InputError(f"{len(first)} and {len(second)} items cannot be paired; the same ones are expected")
    _check_values([*first, *second])


def _check_values(values: Sequence[float]) -> None:
    if not len(values):
        raise InputError("no items to compute from; at least one is expected")
    if any(isnan(value) for value in values):
        raise InputError("a value is NaN; unjudged items are expected to be left out and counted")
