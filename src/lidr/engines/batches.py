"""Batches by a token budget, which is halved when the device runs out of memory.

    batches = Batches(budget=4096)
    for batch in batches.filled(rows, length):
        for row, found in batches.worked(batch, length, compute): ...  # None: too large, even alone

Items of similar length share a batch, which limits padding and bounds memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")
FoundT = TypeVar("FoundT")


class TokenBudget:
    """Padded tokens per batch; lowered for good when the device runs out of memory."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def halve(self, rows: int, width: int) -> None:
        """Set the budget to half of a batch of this shape, which did not fit."""
        self.tokens = min(self.tokens, rows * width // 2)


class Batches:
    """Splits items into batches of at most `budget` tokens."""

    def __init__(self, budget: int) -> None:
        self.budget = TokenBudget(budget)

    def filled(self, items: Iterable[ItemT], length: Callable[[ItemT], int]) -> Iterator[list[ItemT]]:
        """Yield batches of all items, the shortest first; the budget may shrink on the way."""
        batch: list[ItemT] = []
        for item in sorted(items, key=length):
            if batch and length(item) * (len(batch) + 1) > self.budget.tokens:
                yield batch
                batch = []
            batch.append(item)
        if batch:
            yield batch

    def worked(
        self,
        batch: Sequence[ItemT],
        length: Callable[[ItemT], int],
        work: Callable[[Sequence[ItemT]], Sequence[FoundT]],
    ) -> Iterator[tuple[ItemT, FoundT | None]]:
        """Yield each item with its result; None for an item that does not fit alone."""
        found = if_it_fits(lambda: work(batch))
        if found is not None:
            yield from zip(batch, found, strict=True)
        elif len(batch) == 1:
            yield batch[0], None
        else:
            self.budget.halve(len(batch), max(map(length, batch)))
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                yield from self.worked(half, length, work)


def if_it_fits(work: Callable[[], FoundT]) -> FoundT | None:
    """The result, or None if the device runs out of memory.

    The error does not leave this function: its traceback would keep the failed attempt's tensors.
    """
    import torch

    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        # torch has no error class for a CPU that is out of memory.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
