"""The worker pool of an engine on a CPU: each worker computes a batch with one thread, and all share one model.

    >>> with closing(Workers(2, complete)) as workers:
    ...     for result in workers.results([(first_batch, sampling), (second_batch, sampling)]): ...

A small model does not fill two cores with one batch: the time goes into Python between short matrix products. Two
processes with a batch each do. As each has one thread, what comes out is the same for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lidr.errors import LidrError
from lidr.pool import WorkerLostError, WorkerPool


class Workers:
    """`count` forked workers that call `work`; load all that it needs before they are made."""

    def __init__(self, count: int, work: Callable[..., Any]) -> None:
        self._pool = WorkerPool(count, work, begin=_compute_with_one_thread)

    def results(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What `work` returns for each tuple of arguments, as they are done; raises what it raises, and LidrError
        where a worker is gone.
        """
        try:
            yield from self._pool.as_completed(calls)
        except WorkerLostError as error:
            raise LidrError(f"{error}; lower engine.processes or engine.tokens_per_batch") from error

    def close(self) -> None:
        """End the workers; what they have not begun is not done."""
        self._pool.close()


def _compute_with_one_thread() -> None:
    import torch

    torch.set_num_threads(1)
