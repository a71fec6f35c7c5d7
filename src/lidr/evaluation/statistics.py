"""Confidence intervals and paired tests for what the evaluations report.

    >>> wilson(114, 250)
    Interval(estimate=0.456, low=0.395..., high=0.517..., n=250)
    >>> paired_accuracy_test([False, False, True, False], [True, True, True, False])
    PairedTest(difference=0.5, low=..., high=..., p_value=0.5, n=4, gained=2, lost=0, p_holm=None)

Proportions have Wilson's interval, paired ones Tango's and McNemar's exact test; means of scores have Student's t, by
items. `highest` is the best score, 0 the worst. A comparison of two models is on the same items and always 'second
minus first'. Unequal ids or lengths, no items at all and NaN raise InputError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isnan, sqrt
from statistics import NormalDist, fmean

from lidr.errors import InputError

# Of the range of scores: values that differ by less are the same but for rounding.
ROUNDING = 1e-12

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


def wilson(successes: int, n: int, confidence: float = 0.95, effective_n: float | None = None) -> Interval:
    """Wilson's score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    `effective_n` is the number of independent items that n items are worth, where that is another one.
    """
    from scipy.special import ndtri

    if not 0 <= successes <= n or n == 0:
        raise InputError(f"{successes} of {n} is no proportion; at least one item is expected")
    # SciPy's formula, which takes whole numbers only.
    share, size, z = successes / n, effective_n or n, float(ndtri(0.5 + 0.5 * confidence))
    centre = (2 * size * share + z**2) / (2 * (size + z**2))
    half = z / (2 * (size + z**2)) * sqrt(4 * size * share * (1 - share) + z**2)
    return Interval(share, centre - half if successes else 0.0, centre + half if successes < n else 1.0, n)


def clustered_share(successes: Sequence[int], sizes: Sequence[int], confidence: float = 0.95) -> Interval:
    """The proportion of items in clusters, such as pairs of the same prompt; successes and sizes are by cluster.

    The interval is Wilson's at the effective sample size: n over Kish's design effect (L. Kish, Survey Sampling, 1965).
    That is the linearised variance of the proportion over the variance for independent items, at least 1. A proportion
    of 0 or 1 has no variance to estimate it by: a cluster then counts as one item.
    """
    total, n = sum(successes), sum(sizes)
    effective: float = len(sizes)
    if 0 < total < n and len(sizes) < n:
        share = total / n
        squares = fsum((own - share * size) ** 2 for own, size in zip(successes, sizes, strict=True))
        effective = n / max(1.0, squares / (n * share * (1 - share)))
    return wilson(total, n, confidence, effective)


def sign_test(successes: int, n: int) -> float:
    """The exact probability of at least `successes` heads in n throws of a fair coin; 1 where none was thrown."""
    from scipy.stats import binom

    return float(binom.sf(successes - 1, n, 0.5))


def mean_interval(values: Sequence[float], confidence: float = 0.95, highest: float = 1.0) -> Interval:
    """The mean of scores with Student's t interval; see `macro_interval`."""
    return macro_interval({"": _by_row(values)}, confidence, highest)


def paired_accuracy_test(first: Sequence[bool], second: Sequence[bool], confidence: float = 0.95) -> PairedTest:
    """Right and wrong answers of two models to the same items.

    p is that of the exact McNemar test: a binomial test of the items that only one model got right. The interval is
    Tango's score interval (Statistics in Medicine 17, 1998), which inverts the score test of the same table: unlike
    Wald's it holds its level with few discordant items and has a width when there are none. The exact test is a little
    stricter: p can be above 1 - confidence where the interval leaves 0 out.
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
    """Scores of two models on the same items, such as preferences over a common baseline: the paired t test."""
    _check_lengths(first, second)
    return macro_comparison({"": _by_row(first)}, {"": _by_row(second)}, confidence, highest)


def macro_interval(values: ByPlace, confidence: float = 0.95, highest: float = 1.0) -> Interval:
    """The plain average of the places' means, with Student's t interval over items.

    The languages' items are translations of each other: a hard problem is hard in all of them, and answers to it are
    no independent evidence. So items that share an id are one cluster (E. Miller, Adding Error Bars to Evals,
    arXiv 2411.00640, 2024). Places need not have the same items: the average of means is a sum of ratios, linearised
    (Taylor) at the means, which gives one value an item. With the same items everywhere that is its mean over places.
    """
    return _average(values, confidence, 0.0, highest)[0]


def macro_comparison(first: ByPlace, second: ByPlace, confidence: float = 0.95, highest: float = 1.0) -> PairedTest:
    """Two models' averages over places, in each of them on the same items; see `macro_interval`."""
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
    """p values adjusted for their number (S. Holm, Scandinavian Journal of Statistics 6, 1979), in the order given."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def _average(values: ByPlace, confidence: float, lowest: float, highest: float) -> tuple[Interval, float]:
    """The average over places with its interval, and the p value of the hypothesis that it is 0.

    Where t has no width, p is the level at which the bounds reach 0: the sign test's, if the range ends at the average.
    """
    from scipy.stats import ttest_1samp

    if not values:
        raise InputError("nothing to average over; at least one language or task is expected")
    for own in values.values():
        _check_values(list(own.values()))
    means = {place: fmean(own.values()) for place, own in values.items()}
    average, items = fmean(means.values()), _items(values)
    scale = len(items) / len(values)
    parts = [
        average + scale * fsum((own[item] - means[place]) / len(own) for place, own in values.items() if item in own)
        for item in items
    ]
    if max(parts) - min(parts) <= ROUNDING * (highest - lowest):
        fewest = min(len(own) for own in values.values())  # bounds the average conservatively
        low, high = _bounds(average, fewest, confidence, lowest, highest)
        p_value = min(1.0, 2 * (highest / (highest + abs(average))) ** fewest)
    else:
        test = ttest_1samp(parts, 0.0)
        low, high = test.confidence_interval(confidence)
        p_value = float(test.pvalue)
    return Interval(average, max(float(low), lowest), min(float(high), highest), len(items)), p_value


def _bounds(value: float, n: int, confidence: float, lowest: float, highest: float) -> tuple[float, float]:
    """The exact bounds of a mean where all n items have this value, and t has no width.

    At most a share of all items can have another one (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934, at 0 of n),
    and none a worse one than `lowest` or a better one than `highest`.
    """
    others = 1 - ((1 - confidence) / 2) ** (1 / n)
    return value - others * (value - lowest), value + others * (highest - value)


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


def _items(values: ByPlace) -> list[str]:
    """The items of all places, each once."""
    return list(dict.fromkeys(item for own in values.values() for item in own))


def _by_row(values: Sequence[float]) -> dict[str, float]:
    return {str(row): value for row, value in enumerate(values)}


def _check_lengths(first: Sequence[float], second: Sequence[float]) -> None:
    if len(first) != len(second):
        raise InputError(f"{len(first)} and {len(second)} items cannot be paired; the same ones are expected")
    _check_values([*first, *second])


def _check_values(values: Sequence[float]) -> None:
    if not len(values):
        raise InputError("no items to compute from; at least one is expected")
    if any(isnan(value) for value in values):
        raise InputError("a value is NaN; unjudged items are expected to be left out and counted")
