"""The stories counted a block at a time, on all cores where there are many: the same figures on any number of them.

    >>> for part in side_by_side(settings, "m1", Examiner(settings), Index(evaluations), sample):
    ...     tallies.merge(part)

This process only finds out where blocks end; copies of it read them, look at the texts and count. Tallies come in
order, so nothing depends on who counted what. `one_by_one` does the same in this process alone, with what is wrong in
a file as an error that names it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TypeVar

from lidr import config
from lidr.audit import story_blocks
from lidr.audit.contamination import Index
from lidr.audit.examine import Examiner
from lidr.audit.round_trip import Sent
from lidr.audit.stories import Story, read
from lidr.audit.tallies import Tallies
from lidr.copies import Copies, cores_for_copies
from lidr.side_by_side import Stretch

ItemT = TypeVar("ItemT")

# What one process that finds the ends of blocks can keep busy.
MOST_PROCESSES = 16
# Parts of each process: more of them end more evenly, fewer have less to send back. Blocks of a part.
PARTS, SMALLEST, LARGEST = 8, 8, 64
# Stories that are examined at once where they come one by one.
AT_ONCE = 100


def side_by_side(
    settings: config.Settings, iteration: str, examiner: Examiner, index: Index, sample: Sent
) -> Iterator[Tallies]:
    """What is counted of each part of the blocks, in order; raises NotInOrderError, which may come late."""
    files = story_blocks.files(settings, iteration)
    add = _counter(settings, examiner, index, sample)

    counted: Tallies | None = None

    def tally(part: Iterable[Sequence[Stretch]]) -> Tallies:
        nonlocal counted
        counted = Tallies(settings, before=counted)
        for block in part:
            add(counted, story_blocks.stories(settings, iteration, block))
        return counted

    processes = min(cores_for_copies(), MOST_PROCESSES, files.count)
    files = files.evenly(processes)
    alone = ([stretch.alone() for stretch in block] for block in files)
    parts = _parts(alone, min(max(files.count // (PARTS * processes), SMALLEST), LARGEST, -(-files.count // processes)))
    if processes < 2:
        yield from map(tally, parts)
        return
    # Nothing that is made of a text refers to itself, so that there are no cycles to be searched for.
    with closing(Copies(processes, tally, begin=gc.disable)) as copies:
        yield from copies.in_order((part,) for part in parts)


def one_by_one(
    settings: config.Settings, iteration: str, examiner: Examiner, index: Index, sample: Sent
) -> Iterator[Tallies]:
    """What is counted of some stories at a time, in order; raises InputError where files contradict each other."""
    add = _counter(settings, examiner, index, sample)
    for stories in _parts(read(settings, iteration), AT_ONCE):
        counted = Tallies(settings)
        add(counted, stories)
        yield counted


def _counter(
    settings: config.Settings, examiner: Examiner, index: Index, sample: Sent
) -> Callable[[Tallies, Sequence[Story]], None]:
    def add(counted: Tallies, stories: Sequence[Story]) -> None:
        for story, found in zip(stories, examiner.facts(stories), strict=True):
            counted.add(story, found, index, sample)

    return add


def _parts(items: Iterator[ItemT], size: int) -> Iterator[list[ItemT]]:
    while part := list(islice(items, size)):
        yield part
