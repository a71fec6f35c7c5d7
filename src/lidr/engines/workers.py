"""Copies of an engine's process on a CPU: each has a core to itself, and they share one model in memory.

    >>> with closing(Workers(2, complete)) as workers:
    ...     for result in workers.results([(first_batch, sampling), (second_batch, sampling)]): ...

A small model does not fill two cores with one batch: the time goes into Python between short matrix products. Two
processes with a batch each do. They are forked, so that a copy takes neither an import nor a load, and its weights no
memory; each computes with one thread, so that what comes out is the same for any number of them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import Any, Literal

from lidr.errors import InputError, LidrError

# What a copy does with the arguments that it is sent; inherited, never sent.
_work: Callable[..., Any] | None = None


def count(wanted: int | Literal["auto"] | None, device: str) -> int:
    """How many copies to make: 0 where this process computes alone; raises InputError where it would have to."""
    if wanted == "auto":
        return _cores() if device == "cpu" else 0
    if wanted is not None and device in ("cuda", "mps"):
        raise InputError(f"engine.processes: null or `auto` is expected, for on {device} there is one process")
    return wanted or 0


def _cores() -> int:
    """The cores that this process may use, where the system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """`count` forked copies of this process that call `work`; it has all that it needs loaded before they are made."""

    def __init__(self, count: int, work: Callable[..., Any]) -> None:
        self._pool = ProcessPoolExecutor(count, get_context("fork"), initializer=_begin, initargs=(work,))

    def results(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What `work` returns for each tuple of arguments, as they come; raises what it raises.

        Raises LidrError where a copy is gone: the system ends the largest process where memory runs out.
        """
        waiting = [self._pool.submit(_call, arguments) for arguments in calls]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BrokenProcessPool as error:
            reason = "a process of the engine was ended from outside, as where memory runs out"
            raise LidrError(f"{reason}; lower engine.processes or engine.tokens_per_batch") from error

    def close(self) -> None:
        """End the copies; what they have not begun is not done."""
        self._pool.shutdown(cancel_futures=True)


def _begin(work: Callable[..., Any]) -> None:
    global _work
    import torch

    _work = work
    torch.set_num_threads(1)
    # An interrupt reaches all processes of a terminal; the one that made the copies ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A copy whose parent was killed would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _call(arguments: tuple[Any, ...]) -> Any:
    assert _work is not None
    return _work(*arguments)
