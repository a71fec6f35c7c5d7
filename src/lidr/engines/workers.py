"""The copies of an engine's process on a CPU: each computes a batch with one thread, and they share one model.

    >>> with closing(Workers(2, complete)) as workers:
    ...     for result in workers.results([(first_batch, sampling), (second_batch, sampling)]): ...

A small model does not fill two cores with one batch: the time goes into Python between short matrix products. Two
processes with a batch each do (`lidr.copies`); as each has one thread, what comes out is the same for any number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from lidr.copies import Copies, CopyLostError, cores
from lidr.errors import InputError, LidrError


def count(wanted: int | Literal["auto"] | None, device: str) -> int:
    """How many copies to make: 0 where this process computes alone; raises InputError where it would have to."""
    if wanted == "auto":
        return cores() if device == "cpu" else 0
    if wanted is not None and device in ("cuda", "mps"):
        raise InputError(f"engine.processes: null or `auto` is expected, for on {device} there is one process")
    return wanted or 0


class Workers:
    """`count` copies of this process that call `work`; it has all that it needs loaded before they are made."""

    def __init__(self, count: int, work: Callable[..., Any]) -> None:
        self._copies = Copies(count, work, begin=_compute_with_one_thread)

    def results(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What `work` returns for each tuple of arguments, as they come; raises what it raises, and LidrError where
        a copy is gone.
        """
        try:
            yield from self._copies.as_they_come(calls)
        except CopyLostError as error:
            raise LidrError(f"{error}; lower engine.processes or engine.tokens_per_batch") from error

    def close(self) -> None:
        """End the copies; what they have not begun is not done."""
        self._copies.close()


def _compute_with_one_thread() -> None:
    import torch

    torch.set_num_threads(1)
