"""A pool of forked worker processes, for work that Python does on one core only.

    with closing(WorkerPool(2, count_words)) as pool:
        for words in pool.in_order([(0,), (200,)]): ...

It is concurrent.futures' ProcessPoolExecutor with three additions. The work is inherited by the fork, so it may be a
bound method or a closure over a loaded model or over rows, whose memory all workers share: only arguments and results
are sent. A worker that dies is a `LidrError`. And workers end with their parent, however that ends.
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

# What a worker does with the arguments that it is sent; inherited, never sent.
_work: Callable[..., Any] | None = None


def cores() -> int:
    """The cores that this process may use, where the system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def forkable_cores() -> int:
    """`cores`, but 1 elsewhere than on Linux, where a process with system libraries may not survive a fork."""
    return cores() if sys.platform == "linux" else 1


class WorkerPool:
    """`count` forked workers that call `work`; load all that it needs before they are made.

    `begin` is called once in each worker. Results come with what `work` raises, or with a LidrError where a worker is
    gone, which ends with `advice`.
    """

    def __init__(
        self, count: int, work: Callable[..., Any], begin: Callable[[], None] | None = None, advice: str = ""
    ) -> None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        self._advice = advice
        self._pool = ProcessPoolExecutor(count, get_context("fork"), initializer=_begin, initargs=(work, begin))

    def as_completed(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What `work` returns for each tuple of arguments, the first that is done first."""
        from concurrent.futures import as_completed

        with self._lost_workers_named():
            for done in as_completed([self._pool.submit(_call, arguments) for arguments in calls]):
                yield done.result()

    def in_order(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What `work` returns for each tuple of arguments, in their order."""
        with self._lost_workers_named():
            yield from self._pool.map(_call, calls)

    def close(self) -> None:
        """End the workers; what they have not begun is not done."""
        self._pool.shutdown(cancel_futures=True)

    @contextmanager
    def _lost_workers_named(self) -> Iterator[None]:
        from concurrent.futures.process import BrokenProcessPool

        try:
            yield
        except BrokenProcessPool as error:
            # Linux ends the largest process where memory runs out.
            problem = "one of several processes was ended from outside, as where memory runs out"
            raise LidrError("; ".join(filter(None, (problem, self._advice)))) from error


def _begin(work: Callable[..., Any], begin: Callable[[], None] | None) -> None:
    global _work
    _work = work
    # An interrupt reaches all processes of a terminal; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _call(arguments: tuple[Any, ...]) -> Any:
    assert _work is not None
    return _work(*arguments)
