"""Length control of the rule `implicit`: a price for each character, so that the best answers are not just the longest.

    >>> best_and_worst([[1.0, 3.0, 2.0]], [[10, 30, 20]])
    [(0, 1)]

From the reward of an answer, `a` times its characters are taken off. Of the grid 0, 0.001, ... 1, the smallest `a` is
taken with which the best and the worst answers differ least in length on average (in absolute value), over all prompts
of a language (arXiv 2503.04647, and the authors' code).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray

STEPS = 1000


def best_and_worst(rewards: Sequence[Sequence[float]], lengths: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Of each prompt the places of its best and its worst answer, the first of equals, at the language's price."""
    if not rewards:
        return []
    import numpy

    reward, length = _table(rewards), _table(lengths)
    rows = numpy.arange(len(rewards))

    def ends(price: float) -> tuple[ndarray, ndarray]:
        controlled = reward - price * length
        return numpy.nanargmax(controlled, axis=1), numpy.nanargmin(controlled, axis=1)

    def difference(price: float) -> float:
        best, worst = ends(price)
        return abs(float((length[rows, best] - length[rows, worst]).mean()))

    best, worst = ends(min((step / STEPS for step in range(STEPS + 1)), key=difference))
    return list(zip(best.tolist(), worst.tolist(), strict=True))


def _table(rows: Sequence[Sequence[float]]) -> ndarray:
    """One row for each prompt, padded with NaN."""
    import numpy

    table = numpy.full((len(rows), max(map(len, rows))), numpy.nan)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
