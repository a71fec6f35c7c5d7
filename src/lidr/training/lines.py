"""How the rows of a batch share the lines of its tensors, so that the least is computed.

    lengths  9 7 5 4 3           two lines, 15 wide           three lines, 10 wide
                                 |999999999|4444|..           |999999999|.
                                 |7777777|55555|333|          |7777777|333|
                                                              |55555|4444|.

A position costs what the model's products take, padding or not, and its attention costs more the wider the line. So
lines are about as wide as the longest row, and wider where this leaves less padding and they are still narrow for the
model.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

# The width at which attention costs as much as all else at a position: 4 times the hidden size of a small model. A
# larger one's lines might be wider still, but its rows tend to be long, and then there is no width to spare.
BALANCE = 512
# How many lines more or fewer are looked at than rows as long as the longest would fill.
AROUND = 4

Spot = tuple[int, int]


def share_out(lengths: Sequence[int]) -> list[Spot]:
    """(line, start) of each row, on the number of lines that costs least."""
    full = sum(lengths) // max(lengths)
    counts = range(max(1, full - AROUND), min(len(lengths), full + AROUND) + 1)
    return min((_on_lines(lengths, count) for count in counts), key=lambda found: found[0])[1]


def _on_lines(lengths: Sequence[int], count: int) -> tuple[float, list[Spot]]:
    """The longest row first, each on the line that is shortest so far; with what it costs."""
    lines = [(0, line) for line in range(count)]
    spots = [(0, 0)] * len(lengths)
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        taken, line = lines[0]
        spots[index] = (line, taken)
        heapq.heapreplace(lines, (taken + lengths[index], line))
    width = max(lines)[0]
    return count * width * (1 + width / BALANCE), spots
