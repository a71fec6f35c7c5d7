"""A pool of forked worker processes, for CPU-bound Python code.

    with closing(WorkerPool(2, count_words)) as pool:
        for words in pool.in_order([(0,), (200,)]): ...

It is concurrent.futures' ProcessPoolExecutor with three additions. Workers inherit the function by the fork, so it may
be a bound method or a closure over a loaded model or rows, whose memory all share; only arguments and results are sent.
A worker that dies raises a `LidrError`. Workers end with their parent, even if that is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lidr.errors import LidrError
from lidr.machine import cores

# A worker's function: inherited by the fork, never pickled.
_work: Callable[..., Any]


def forkable_cores() -> int:
    """For how many workers there are cores; 0 but on Linux: other systems' libraries may not survive a fork."""
    return cores() if sys.platform == "linux" else 0


class WorkerPool:
    """`count` forked workers that call `work`; load all that it needs before creating the pool.

    `begin` is called once in each worker. Results raise what `work` raises, or a LidrError that ends with `advice` if a
    worker died.
    """

    def __init__(
        self, count: int, work: Callable[..., Any], begin: Callable[[], None] | None = None, advice: str = ""
    ) -> None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        self._advice = advice
        self._pool = ProcessPoolExecutor(count, get_context("fork"), initializer=_begin, initargs=(work, begin))

    def as_completed(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield the results of `work` for each tuple of arguments, as they complete."""
        from concurrent.futures import as_completed

        with self._lost_workers_named():
            for done in as_completed([self._pool.submit(_call, arguments) for arguments in calls]):
                yield done.result()

    def in_order(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield the results of `work` for each tuple of arguments, in order."""
        with self._lost_workers_named():
            yield from self._pool.map(_call, calls)

    def close(self) -> None:
        """End the workers and cancel waiting tasks."""
        self._pool.shutdown(cancel_futures=True)

    @contextmanager
    def _lost_workers_named(self) -> Iterator[None]:
        from concurrent.futures.process import BrokenProcessPool

        try:
            yield
        except BrokenProcessPool as error:
            # Out of memory, Linux kills the largest process.
            problem = "one of several processes was ended from outside, as where memory runs out"
            raise LidrError("; ".join(filter(None, (problem, self._advice)))) from error


def _begin(work: Callable[..., Any], begin: Callable[[], None] | None) -> None:
    global _work
    _work = work
    # Ctrl-C reaches all processes of a terminal; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    """Exit with the parent: a worker whose parent was killed would wait for ever."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _call(arguments: tuple[Any, ...]) -> Any:
    return _work(*arguments)
