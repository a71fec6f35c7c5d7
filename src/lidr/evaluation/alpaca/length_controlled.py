"""The length-controlled win rate: what it would be with answers of equal length.

A judge's preference is modelled as sigmoid(theta + phi * tanh(d)), where d is the difference of the two lengths in
characters over its standard deviation. theta is the log-odds at equal length. This is AlpacaEval 2's model without the
difficulty of the instructions, which is known only for its English set and its own baseline (Y. Dubois et al.,
Length-Controlled AlpacaEval, 2024; `length_controlled_minimal` in its package). The interval is a bootstrap of the
whole fit, since the package's standard error is that of a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lidr.errors import InputError
from lidr.evaluation.statistics import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Keeps theta finite if every answer wins. With a hundred rows it moves the win rate by less than 0.00001 points.
RIDGE = 1e-6
LARGEST_STEP = 4.0
MOST_STEPS = 100
BATCH = 500  # resamples fitted at a time


def length_controlled(
    preferences: Sequence[float | None],
    lengths: Sequence[int],
    baseline_lengths: Sequence[int],
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = 9_999,
) -> Interval:
    """The win rate at equal length, 0 to 100, with its percentile interval, over judged rows."""
    import numpy
    from scipy.stats import bootstrap

    wins = numpy.array([numpy.nan if p is None else p - 1 for p in preferences], dtype=float)
    # As in the package, unjudged rows still count in the standard deviation of lengths.
    differences = numpy.asarray(lengths, dtype=float) - numpy.asarray(baseline_lengths, dtype=float)
    judged = int((~numpy.isnan(wins)).sum())
    if not judged:
        raise InputError("no item is judged; at least one is expected")
    estimate = float(_win_rates(wins, differences))
    if len(wins) == 1 or (not differences.any() and numpy.ptp(wins[~numpy.isnan(wins)]) == 0):
        return Interval(estimate, estimate, estimate, judged)
    rates = bootstrap(
        (wins, differences),
        _win_rates,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=BATCH,
        method="percentile",
        rng=numpy.random.default_rng(seed),
    ).bootstrap_distribution
    # A resample without judged rows has no win rate.
    low, high = numpy.nanquantile(rates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(estimate, float(low), float(high), judged)


def _win_rates(wins: NDArray[Any], differences: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    """100 * sigmoid(theta) of each sample, [samples, rows]; NaN if none of a sample's rows is judged."""
    import numpy
    from scipy.special import expit

    if wins.ndim == 1:  # SciPy calls it with the whole sample as well
        return _win_rates(wins[None], differences[None])[0]
    judged = ~numpy.isnan(wins)
    many = wins.shape[1] > 1
    spread = differences.std(axis=1, ddof=1, keepdims=True) if many else numpy.zeros((len(wins), 1))
    # If all differences are equal, their effect cannot be estimated.
    lengths = numpy.tanh(numpy.divide(differences, spread, out=numpy.zeros_like(differences), where=spread > 0))
    theta = _fit(numpy.where(judged, wins, 0.0), lengths, judged.astype(float))
    return numpy.where(judged.any(axis=1), 100 * expit(theta), numpy.nan)


def _fit(wins: NDArray[Any], lengths: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """theta of each row: logistic regression on soft labels by Newton's method."""
    import numpy
    from scipy.special import expit

    theta, phi = numpy.zeros(len(wins)), numpy.zeros(len(wins))
    for _ in range(MOST_STEPS):
        likely = expit(theta[:, None] + phi[:, None] * lengths)
        error, curve = weights * (wins - likely), weights * likely * (1 - likely)
        slope = error.sum(1) - RIDGE * theta, (error * lengths).sum(1) - RIDGE * phi
        a, b, c = curve.sum(1) + RIDGE, (curve * lengths).sum(1), (curve * lengths**2).sum(1) + RIDGE
        determinant = a * c - b * b
        steps = (c * slope[0] - b * slope[1]) / determinant, (a * slope[1] - b * slope[0]) / determinant
        theta += numpy.clip(steps[0], -LARGEST_STEP, LARGEST_STEP)
        phi += numpy.clip(steps[1], -LARGEST_STEP, LARGEST_STEP)
        if max(numpy.abs(step).max() for step in steps) < 1e-9:
            break
    return theta
