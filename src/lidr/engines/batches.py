"""Batches that fit the device: filled by a budget of tokens, halved where its memory turns out to be too small.

    batches = Batches(budget=4096)
    for batch in batches.filled(rows, length):
        for row, found in batches.worked(batch, length, compute): ...  # None: too large, even alone

Items of similar length share a batch, so that little of it is padding and its memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")
FoundT = TypeVar("FoundT")


class TokenBudget:
    """Tokens of a batch, padded; lowered for good where the device's memory turns out to be too small for them."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def halve(self, rows: int, width: int) -> None:
        """From now on half of what so many rows of this width, which did not fit, have."""
        self.tokens = min(self.tokens, rows * width // 2)


class Batches:
    """Items in batches of so many tokens at most."""

    def __init__(self, budget: int) -> None:
        self.budget = TokenBudget(budget)

    def filled(self, items: Iterable[ItemT], length: Callable[[ItemT], int]) -> Iterator[list[ItemT]]:
        """All items, the short ones first, batch by batch: the budget may shrink on the way."""
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
        """Each item with what `work` finds for it; None for one that alone does not fit."""
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
    """What is computed, or None where the device's memory is too small for it.

    Once this has returned, nothing holds what the failed try had taken: the error's traceback would.
    """
    import torch

    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        # A processor's lack of memory has no error class of its own in torch.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
