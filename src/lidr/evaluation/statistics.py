"""Confidence intervals and paired tests.

    >>> wilson(114, 250)
    Interval(estimate=0.456, low=0.395..., high=0.517..., n=250)
    >>> paired_accuracy_test([False, False, True, False], [True, True, True, False])
    PairedTest(difference=0.5, low=..., high=..., p_value=0.5, n=4, gained=2, lost=0, p_holm=None)

Proportions have Wilson's interval; paired proportions have Tango's interval and McNemar's exact test; means have
Student's t over items. Scores lie between 0 and `highest`. A comparison is of two models on the same items, always
'second minus first'. Unequal ids or lengths, no items and NaN raise InputError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isnan, sqrt
from statistics import NormalDist, fmean

from lidr.errors import InputError

# As a share of the scores' range: smaller differences are rounding.
ROUNDING = 1e-12

ByPlace = Mapping[str, Mapping[str, float]]  # by language or task, and item id


@dataclass(frozen=True)
class Interval:
    """An estimate from n items with its confidence interval."""

    estimate: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PairedTest:
    """Second minus first on n items, with interval, two-sided p value, and numbers of items gained and lost.

    `p_holm` is the p value adjusted over the family of tests, if there is one.
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
        """The p value that decides: Holm's if there is one."""
        return self.p_value if self.p_holm is None else self.p_holm


def wilson(successes: int, n: int, confidence: float = 0.95, effective_n: float | None = None) -> Interval:
    """Wilson's score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    `effective_n` is the effective sample size, if it differs from n.
    """
    from scipy.special import ndtri

    if not 0 <= successes <= n or n == 0:
        raise InputError(f"{successes} of {n} is no proportion; at least one item is expected")
    # As in SciPy, which takes integers only.
    share, size, z = successes / n, effective_n or n, float(ndtri(0.5 + 0.5 * confidence))
    centre = (2 * size * share + z**2) / (2 * (size + z**2))
    half = z / (2 * (size + z**2)) * sqrt(4 * size * share * (1 - share) + z**2)
    return Interval(share, centre - half if successes else 0.0, centre + half if successes < n else 1.0, n)


def clustered_share(successes: Sequence[int], sizes: Sequence[int], confidence: float = 0.95) -> Interval:
    """A proportion over clustered items, such as pairs of the same prompt; successes and sizes are per cluster.

    The interval is Wilson's at the effective sample size: n over Kish's design effect (L. Kish, Survey Sampling, 1965).
    The design effect is the proportion's linearised variance over that of independent items, at least 1. It cannot be
    estimated for a proportion of 0 or 1: a cluster then counts as one item.
    """
    total, n = sum(successes), sum(sizes)
    effective: float = len(sizes)
    if 0 < total < n and len(sizes) < n:
        share = total / n
        squares = fsum((own - share * size) ** 2 for own, size in zip(successes, sizes, strict=True))
        effective = n / max(1.0, squares / (n * share * (1 - share)))
    return wilson(total, n, confidence, effective)


def sign_test(successes: int, n: int) -> float:
    """The one-sided p value of an exact sign test: at least `successes` of n at probability 0.5; 1 if n is 0."""
    from scipy.stats import binom

    return float(binom.sf(successes - 1, n, 0.5))


def mean_interval(values: Sequence[float], confidence: float = 0.95, highest: float = 1.0) -> Interval:
    """The mean of scores with its Student's t interval; see `macro_interval`."""
    return macro_interval({"": _by_row(values)}, confidence, highest)


def paired_accuracy_test(first: Sequence[bool], second: Sequence[bool], confidence: float = 0.95) -> PairedTest:
    """McNemar's exact test with Tango's interval, for right and wrong answers of two models to the same items.

    McNemar's exact test is a binomial test of the items that only one model got right. Tango's score interval
    (Statistics in Medicine 17, 1998) inverts the score test of the same table. Unlike Wald's it keeps its level with
    few discordant items, and has a width without any. The exact test is a little stricter: p can be above
    1 - confidence although the interval excludes 0.
    """
    from scipy.stats import binomtest

    _check_lengths(first, second)
    gained = sum(bool(after) and not before for before, after in zip(first, second, strict=True))
    lost = sum(bool(before) and not after for before, after in zip(first, second, strict=True))
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    low, high = _tango(gained, lost, len(first), confidence)
    return PairedTest((gained - lost) / len(first), low, high, p_value, len(first), gained, lost)


def paired_difference(
    first: Sequence[float], second: Sequence[float], confidence: float = 0.95, highest: float = 1.0
) -> PairedTest:
    """The paired t test of two models' scores on the same items, such as preferences over a common baseline."""
    _check_lengths(first, second)
    return macro_comparison({"": _by_row(first)}, {"": _by_row(second)}, confidence, highest)


def macro_interval(values: ByPlace, confidence: float = 0.95, highest: float = 1.0) -> Interval:
    """The macro average of the places' means, with its Student's t interval over items.

    Items are translated into all languages: a hard problem is hard in all of them, so its answers are not independent.
    Items that share an id are therefore one cluster (E. Miller, Adding Error Bars to Evals, arXiv 2411.00640, 2024).
    Places need not have the same items: the average of means is a sum of ratios, linearised (Taylor) at the means,
    which gives one value per item. With the same items everywhere this value is the item's mean over places.
    """
    return _average(values, confidence, 0.0, highest)[0]


def macro_comparison(first: ByPlace, second: ByPlace, confidence: float = 0.95, highest: float = 1.0) -> PairedTest:
    """The difference of two models' macro averages, on the same items in each place; see `macro_interval`."""
    for place in first:
        if odd := sorted(first[place].keys() ^ second[place].keys()):
            raise InputError(f"{len(odd)} items of {place} are scored for one model alone, the first is {odd[0]!r}")
    differences = {
        place: {item: second[place][item] - value for item, value in values.items()} for place, values in first.items()
    }
    interval, p_value = _average(differences, confidence, -highest, highest)
    sums = [fsum(own[item] for own in differences.values() if item in own) for item in _items(differences)]
    gained, lost = sum(value > 0 for value in sums), sum(value < 0 for value in sums)
    return PairedTest(interval.estimate, interval.low, interval.high, p_value, interval.n, gained, lost)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p values (S. Holm, Scandinavian Journal of Statistics 6, 1979), in the given order."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def _average(values: ByPlace, confidence: float, lowest: float, highest: float) -> tuple[Interval, float]:
    """The macro average with its interval, and the p value of the hypothesis that it is 0.

    If t has no width, p is the level at which the bounds reach 0: the sign test's, if the range ends at the average.
    """
    from scipy.stats import ttest_1samp

    if not values:
        raise InputError("nothing to average over; at least one language or task is expected")
    if not all(values.values()):
        raise InputError("no items to compute from; at least one is expected")
    if any(isnan(value) for own in values.values() for value in own.values()):
        raise InputError("a value is NaN; unjudged items are expected to be left out and counted")
    means = {place: fmean(own.values()) for place, own in values.items()}
    average, items = fmean(means.values()), _items(values)
    scale = len(items) / len(values)
    parts = [
        average + scale * fsum((own[item] - means[place]) / len(own) for place, own in values.items() if item in own)
        for item in items
    ]
    if max(parts) - min(parts) <= ROUNDING * (highest - lowest):
        fewest = min(len(own) for own in values.values())  # gives conservative bounds of the average
        low, high = _bounds(average, fewest, confidence, lowest, highest)
        p_value = min(1.0, 2 * (highest / (highest + abs(average))) ** fewest)
    else:
        test = ttest_1samp(parts, 0.0)
        low, high = test.confidence_interval(confidence)
        p_value = float(test.pvalue)
    return Interval(average, max(float(low), lowest), min(float(high), highest), len(items)), p_value


def _bounds(value: float, n: int, confidence: float, lowest: float, highest: float) -> tuple[float, float]:
    """The exact bounds of a mean if all n items have this value, so that t has no width.

    The share of other values in the population is at most Clopper and Pearson's upper bound at 0 of n (Biometrika 26,
    1934), and those values lie between `lowest` and `highest`.
    """
    others = 1 - ((1 - confidence) / 2) ** (1 / n)
    return value - others * (value - lowest), value + others * (highest - value)


def _tango(gained: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """Tango's interval: the differences that the score test does not reject."""
    from scipy.optimize import brentq

    bound = NormalDist().inv_cdf((1 + confidence) / 2)
    estimate, edge = (gained - lost) / n, 1 - 1e-12

    def end(outside: float, score: float) -> float:
        return float(brentq(lambda d: _tango_score(d, gained, lost, n) - score, estimate, outside, xtol=1e-14))

    return end(-edge, bound) if estimate > -1 else -1.0, end(edge, -bound) if estimate < 1 else 1.0


def _tango_score(difference: float, gained: int, lost: int, n: int) -> float:
    """The score statistic of the hypothesis that the shares of gained and lost items differ by `difference`."""
    distance = gained - lost - n * difference
    if distance == 0:
        return 0.0
    # The share q of lost items has its maximum likelihood under the hypothesis at 2n q^2 + linear q + constant = 0.
    linear = (2 * n - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    share = (sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    return distance / sqrt(n * max(1e-300, 2 * share + difference * (1 - difference)))


def _items(values: ByPlace) -> list[str]:
    """The ids of all places, each once."""
    return list(dict.fromkeys(item for own in values.values() for item in own))


def _by_row(values: Sequence[float]) -> dict[str, float]:
    return {str(row): value for row, value in enumerate(values)}


def _check_lengths(first: Sequence[float], second: Sequence[float]) -> None:
    if len(first) != len(second) or not len(first):
        raise InputError(f"{len(first)} and {len(second)} items cannot be paired; the same ones are expected")
