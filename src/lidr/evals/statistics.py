"""Intervals and paired tests for what the evaluations report.

    >>> wilson(114, 250)
    Interval(estimate=0.456, low=0.395..., high=0.517..., n=250)
    >>> paired_accuracy_test([False, False, True, False], [True, True, True, False])
    Comparison(difference=0.5, low=..., high=..., p_value=0.5, n=4, gained=2, lost=0)

A comparison of two models is always on the same items and always 'second minus first'. All that is drawn at random is
drawn from a seed, so a rerun gives the same digits. What does not fit together (other ids, other lengths, nothing at
all, NaN) raises InputError.

The values are SciPy's, to which a test holds them, from the same random numbers. They are computed without it, for
importing it takes longer than all else that a small comparison does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import comb, exp, isnan, lgamma, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from lidr.errors import InputError

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

RESAMPLES = 9_999
NUMBERS = 2**16  # drawn at a time
KEPT = 1_000  # items: up to here, what is drawn serves all samples of a size; 30 MB at most

Draw = Callable[["Generator", tuple[int, int]], "NDArray[Any]"]

ByLanguage = Mapping[str, Mapping[str, float]]  # a value for each item id, by language


@dataclass(frozen=True)
class Interval:
    """An estimate from n items with its confidence interval."""

    estimate: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """Second minus first on n items, with the interval, the two-sided p value and the items gained and lost."""

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    gained: int
    lost: int


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (E. B. Wilson, JASA 22, 1927)."""
    if not 0 <= successes <= n or n == 0:
        raise InputError(f"{successes} of {n} is no proportion; at least one item is expected")
    z, share = NormalDist().inv_cdf((1 + confidence) / 2), successes / n
    middle, half = share + z**2 / (2 * n), z * sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    low, high = ((middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    # At the ends of the scale, where rounding may miss them by a little.
    return Interval(share, low if successes else 0.0, high if successes < n else 1.0, n)


def sign_test(successes: int, n: int) -> float:
    """The exact probability of so many heads or more in n throws of a fair coin; 1 where none was thrown."""
    if 2 * successes <= n:
        return 1.0 - sign_test(n - successes + 1, n) if successes > 0 else 1.0
    if successes > n:
        return 0.0
    # To the last digit where that is quick, so that a p value such as 0.0625 is not rounded to the wrong side.
    ways = lgamma(n + 1) - lgamma(successes + 1) - lgamma(n - successes + 1)
    term = comb(n, successes) / 2**n if n <= 1_000 else exp(ways - n * log(2))
    # From the likeliest term on, each is smaller than the one before: few of them count.
    total = 0.0
    for heads in range(successes, n + 1):
        total += term
        term *= (n - heads) / (heads + 1)
        if term < total * 1e-17:
            break
    return total


def mean_interval(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Interval:
    """The mean with its BCa bootstrap interval (B. Efron, JASA 82, 1987).

    Where all values are the same there is nothing to resample: both ends are then the mean, and only n tells how much
    that is worth.
    """
    low, high = _bootstrap(values, confidence, seed)
    return Interval(_mean(values), low, high, len(values))


def macro_interval(values: ByLanguage, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The average over languages, with an interval that takes the items, not the answers, as the sample.

    The languages' items are translations of each other: a hard problem is hard in all of them, and answers to it are
    no independent evidence. So each item's answers are averaged first.
    """
    return mean_interval(list(_item_means(values).values()), confidence, seed)


def paired_accuracy_test(first: Sequence[bool], second: Sequence[bool], confidence: float = 0.95) -> Comparison:
    """Right and wrong answers of two models to the same items.

    p is that of the exact McNemar test: a sign test of the items that only one model got right. The interval is
    Tango's score interval (Statistics in Medicine 17, 1998), which inverts the score test of the same table: unlike
    Wald's it holds its level with few discordant items, and unlike a bootstrap it has a width when there are none.
    """
    _check_lengths(first, second)
    gained = sum(bool(after) and not before for before, after in zip(first, second, strict=True))
    lost = sum(bool(before) and not after for before, after in zip(first, second, strict=True))
    n = len(first)
    p_value = min(1.0, 2 * sign_test(max(gained, lost), gained + lost))
    low, high = _tango(gained, lost, n, confidence)
    return Comparison((gained - lost) / n, low, high, p_value, n, gained, lost)


def paired_difference(
    first: Sequence[float], second: Sequence[float], seed: int = 0, confidence: float = 0.95
) -> Comparison:
    """Scores of two models on the same items, such as preferences over a common baseline.

    The interval is a BCa bootstrap of the mean difference, p that of the sign-flip permutation test: if the models
    were alike, each item's difference could as well have the other sign. With up to 13 items all flips are counted,
    beyond that p cannot fall below 2 in 10,000.
    """
    _check_lengths(first, second)
    differences = [after - before for before, after in zip(first, second, strict=True)]
    low, high = _bootstrap(differences, confidence, seed)
    gained, lost = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    return Comparison(_mean(differences), low, high, _sign_flip(differences, seed), len(differences), gained, lost)


def macro_comparison(first: ByLanguage, second: ByLanguage, seed: int = 0, confidence: float = 0.95) -> Comparison:
    """Two models' averages over languages: `paired_difference` of each item's average over the languages."""
    if set(first) != set(second):
        raise InputError(f"the models were scored in {sorted(first)} and in {sorted(second)}; the same are expected")
    before, after = _item_means(first), _item_means(second)
    _check_same_items(before, after, "the first model", "the second model")
    return paired_difference(list(before.values()), [after[item] for item in before], seed, confidence)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values adjusted for their number (S. Holm, Scandinavian Journal of Statistics 6, 1979), in the order given."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


# --- parts -----------------------------------------------------------------------------------------------------------


def _bootstrap(values: Sequence[float], confidence: float, seed: int) -> tuple[float, float]:
    """The ends of the mean's BCa interval, or of the percentile interval where BCa is not defined."""
    import numpy

    _check_values(values)
    sample = numpy.asarray(values, dtype=float)
    if numpy.ptp(sample) == 0:
        return float(sample[0]), float(sample[0])
    means = _means(_rows, partial(sample.take, mode="clip"), len(sample), seed)
    tail = (1 - confidence) / 2
    low, high = numpy.quantile(means, _bca_levels(sample, means, tail) or (tail, 1 - tail))
    return float(low), float(high)


def _bca_levels(sample: NDArray[Any], means: NDArray[Any], tail: float) -> tuple[float, float] | None:
    """The quantiles of the resampled means at which the BCa interval ends; None where it is not defined."""
    normal, mean = NormalDist(), sample.mean()
    below = int((means < mean).sum() + (means <= mean).sum()) / (2 * len(means))
    # Without one item the mean moves by its distance from the mean of all, times a factor that cancels out.
    distances = sample - mean
    scale = float((distances**2).sum()) ** 1.5
    if not 0 < below < 1 or scale == 0:
        return None
    bias, acceleration = normal.inv_cdf(below), float((distances**3).sum()) / (6 * scale)

    def level(z: float) -> float:
        return normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))

    return level(normal.inv_cdf(tail)), level(-normal.inv_cdf(tail))


def _sign_flip(differences: Sequence[float], seed: int) -> float:
    """Twice the share of flips whose mean is as far out as that of the differences, on its side."""
    import numpy

    sample = numpy.asarray(differences, dtype=float)
    n, mean = len(sample), sample.mean()
    if not sample.any():
        return 1.0
    is_exact = 2**n <= RESAMPLES
    means = _means_of_all_flips(sample) if is_exact else _means(_signs, partial(numpy.multiply, sample), n, seed)
    # Means that are the same may differ in their last digits.
    rounding = 100 * numpy.finfo(float).eps * abs(mean)
    as_far = min((means <= mean + rounding).sum(), (means >= mean - rounding).sum())
    # Where flips are drawn, the differences as they are count as one more.
    more = 0 if is_exact else 1
    return min(1.0, 2 * float((as_far + more) / (len(means) + more)))


def _means_of_all_flips(sample: NDArray[Any]) -> NDArray[Any]:
    import numpy

    bits = numpy.arange(2 ** len(sample)) >> numpy.arange(len(sample))[:, None] & 1
    return ((1 - 2 * bits) * sample[:, None]).mean(axis=0)


def _means(draw: Draw, resampled: Callable[..., NDArray[Any]], n: int, seed: int) -> NDArray[Any]:
    """The mean of each of RESAMPLES samples of n items, made from what is drawn."""
    import numpy

    drawn = _kept(draw, n, seed) if n <= KEPT else _drawn(draw, n, seed)
    # One piece of memory for all samples: asking the system for it each time takes longer than the sums.
    memory = numpy.empty((_at_once(n), n))
    return numpy.concatenate([resampled(some, out=memory[: len(some)]).mean(axis=-1) for some in drawn])


@lru_cache(maxsize=2)
def _kept(draw: Draw, n: int, seed: int) -> tuple[NDArray[Any], ...]:
    """A comparison has many samples of a size and one seed: drawing takes most of the time, once is enough."""
    return tuple(_drawn(draw, n, seed))


def _drawn(draw: Draw, n: int, seed: int) -> Iterator[NDArray[Any]]:
    """Some of the RESAMPLES rows of n at a time; how many at a time makes no difference to the numbers."""
    import numpy

    rng, rows = numpy.random.default_rng(seed), _at_once(n)
    for start in range(0, RESAMPLES, rows):
        yield draw(rng, (min(rows, RESAMPLES - start), n))


def _at_once(n: int) -> int:
    return max(1, NUMBERS // n)


def _rows(rng: Generator, size: tuple[int, int]) -> NDArray[Any]:
    """Which items are in each sample, each one as often as it is drawn."""
    import numpy

    return rng.integers(0, size[1], size).astype(numpy.min_scalar_type(size[1]))


def _signs(rng: Generator, size: tuple[int, int]) -> NDArray[Any]:
    """-1 or 1."""
    return 2 * rng.integers(0, 2, size).astype("int8") - 1


def _tango(gained: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """The differences that the score test does not reject."""
    bound = NormalDist().inv_cdf((1 + confidence) / 2)
    estimate, edge = (gained - lost) / n, 1 - 1e-12

    def is_inside(difference: float) -> bool:
        return abs(_tango_score(difference, gained, lost, n)) <= bound

    low = _turning_point(is_inside, estimate, -edge) if estimate > -1 else -1.0
    high = _turning_point(is_inside, estimate, edge) if estimate < 1 else 1.0
    return low, high


def _turning_point(is_inside: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where it no longer is inside, by bisection to the last digits."""
    while abs(outside - inside) > 1e-15:
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        inside, outside = (middle, outside) if is_inside(middle) else (inside, middle)
    return inside


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


def _item_means(values: ByLanguage) -> dict[str, float]:
    """Each item's average over the languages."""
    if not values:
        raise InputError("no languages to average over; at least one is expected")
    languages = list(values)
    for lang in languages[1:]:
        _check_same_items(values[languages[0]], values[lang], languages[0], lang)
    return {item: _mean([values[lang][item] for lang in languages]) for item in values[languages[0]]}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _check_same_items(first: Mapping[str, float], second: Mapping[str, float], one: str, other: str) -> None:
    if odd := sorted(set(first) ^ set(second)):
        place = one if odd[0] in first else other
        raise InputError(f"{len(odd)} items are not in both {one} and {other}: {odd[0]!r} is only in {place}")


def _check_lengths(first: Sequence[float], second: Sequence[float]) -> None:
    if len(first) != len(second):
        raise InputError(f"{len(first)} and {len(second)} items cannot be paired; the same ones are expected")
    _check_values([*first, *second])


def _check_values(values: Sequence[float]) -> None:
    if not len(values):
        raise InputError("no items to compute from; at least one is expected")
    if any(isnan(value) for value in values):
        raise InputError("a value is NaN; unjudged items are expected to be left out and counted")
