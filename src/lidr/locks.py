"""File locks: one process at a time per output; a second one is refused, with the holder's process id.

    with alone(Path("models/m1")):
        ...

    $ lidr train m1
    Error: models/m1: the process 4711 is at work on it; wait for it, or end it

The lock is a file under .lidr/locks that holds the process id. The system releases the lock when the process ends, even
when killed; the file stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lidr import paths
from lidr.errors import LidrError, naming


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """Lock the output while the block runs; raises LidrError if another process holds the lock."""
    path = paths.lock(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise LidrError(f"{output}: {_holder(path)} is at work on it; wait for it, or end it") from None
    try:
        with naming(path):
            path.write_text(str(os.getpid()), "ascii")
        yield
    finally:
        path.write_text("")
        lock.release()


def _holder(path: Path) -> str:
    number = path.read_text("ascii", errors="replace")
    return f"the process {number}" if number.isdigit() else "another process"
