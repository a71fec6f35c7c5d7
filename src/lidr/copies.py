"""Copies of this process, each with a core to itself, for work that Python does on one core only.

    >>> with closing(Copies(2, count)) as copies:
    ...     for result in copies.in_order([(first_block,), (second_block,)]): ...

They are forked, so that a copy takes neither an import nor a load, and what it shares with this process no memory. What
they are sent and give back is pickled; the work itself is inherited, and may be a bound method or a closure.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from lidr.errors import LidrError

if TYPE_CHECKING:
    from concurrent.futures import Future

# Python 3.12 begins with 375 objects left out of the search for cycles, other versions with none. One that has
# imported nothing has five thousand in all.
_PYTHONS_OWN = 1000

# What a copy does with the arguments that it is sent; inherited, never sent.
_work: Callable[..., Any] | None = None


class CopyLostError(LidrError):
    """A copy is gone before its work was done: the system ends the largest process where memory runs out."""

    def __init__(self, what: str = "one of several processes was ended from outside, as where memory runs out") -> None:
        super().__init__(what)


def cores() -> int:
    """The cores that this process may use, where the system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_for_copies() -> int:
    """The cores that copies may use; elsewhere than on Linux a process with system libraries may not survive a fork."""
    return cores() if sys.platform == "linux" else 1


@contextmanager
def frozen() -> Iterator[None]:
    """What there is by now is left out of the search for cycles, which writes to all that it looks at.

    So copies made meanwhile share it, and libraries are not searched again and again. Where some was left out before,
    as in what `lidr warm` forks, all stays so: there is no way to ask for the rest back alone.
    """
    before = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if before <= _PYTHONS_OWN:
            gc.unfreeze()


class Copies:
    """`count` forked copies of this process that call `work`; it has all that it needs loaded before they are made.

    `begin` is called once in each copy. Results come with what `work` raises, and with CopyLostError.
    """

    def __init__(self, count: int, work: Callable[..., Any], begin: Callable[[], None] | None = None) -> None:
        # Whoever asks for no more than `cores` does not wait for these.
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        self._count, self._frozen = count, ExitStack()
        self._frozen.enter_context(frozen())
        self._pool = ProcessPoolExecutor(count, get_context("fork"), initializer=_begin, initargs=(work, begin))

    def as_they_come(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What `work` returns for each tuple of arguments, the first that is done first."""
        from concurrent.futures import as_completed

        waiting = [self._pool.submit(_call, arguments) for arguments in calls]
        with _told_where_lost():
            for done in as_completed(waiting):
                yield done.result()

    def in_order(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What `work` returns for each tuple of arguments, in their order; no more are taken than keep copies busy."""
        waiting: deque[Future[Any]] = deque()
        with _told_where_lost():
            for arguments in calls:
                waiting.append(self._pool.submit(_call, arguments))
                if len(waiting) > 2 * self._count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def close(self) -> None:
        """End the copies; what they have not begun is not done."""
        self._pool.shutdown(cancel_futures=True)
        self._frozen.close()


@contextmanager
def _told_where_lost() -> Iterator[None]:
    from concurrent.futures.process import BrokenProcessPool

    try:
        yield
    except BrokenProcessPool as error:
        raise CopyLostError from error


def _begin(work: Callable[..., Any], begin: Callable[[], None] | None) -> None:
    global _work
    _work = work
    # An interrupt reaches all processes of a terminal; the one that made the copies ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    """A copy whose parent was killed would wait for work for ever."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _call(arguments: tuple[Any, ...]) -> Any:
    assert _work is not None
    return _work(*arguments)
