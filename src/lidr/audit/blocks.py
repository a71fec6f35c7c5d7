"""The stories counted a block at a time, on all cores where there are many: the same figures on any number of them.

    >>> for part in count(settings, Examiner(settings), index, read(settings, "m1"), total=100_000):
    ...     tallies.merge(part)

This process reads and checks, which is a twentieth of the work; copies of it look at the texts and count. Blocks are of
one size and their tallies come in order, so nothing depends on who counted which.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice

from lidr import config
from lidr.audit.contamination import Index
from lidr.audit.examine import Examiner
from lidr.audit.stories import Story
from lidr.audit.tallies import Tallies
from lidr.copies import Copies, cores

BLOCK = 256  # prompts, about a second's work
# What one process that reads and checks can keep busy.
MOST_PROCESSES = 16


def count(
    settings: config.Settings, examiner: Examiner, index: Index, stories: Iterable[Story], total: int
) -> Iterator[Tallies]:
    """What is counted of each block, in order; `total` prompts are expected. Raises what `stories` raises."""

    def tally(block: list[Story]) -> Tallies:
        counted = Tallies(settings)
        for story, found in zip(block, examiner.facts(block), strict=True):
            counted.add(story, found, index)
        return counted

    blocks, processes = _blocks(iter(stories)), min(_processes(), -(-total // BLOCK))
    if processes < 2:
        yield from map(tally, blocks)
        return
    with closing(Copies(processes, tally)) as copies:
        yield from copies.in_order((block,) for block in blocks)


def _blocks(stories: Iterator[Story]) -> Iterator[list[Story]]:
    while block := list(islice(stories, BLOCK)):
        yield block


def _processes() -> int:
    """Elsewhere than on Linux a process that has loaded system libraries may not survive being forked."""
    return min(cores(), MOST_PROCESSES) if sys.platform == "linux" else 1
