"""One process at a time for each output: a second one is refused, with the number of the one that is at work.

    with alone(Path("models/m1")):
        ...

    $ lidr train m1
    Error: models/m1: the process 4711 is at work on it; wait for it, or end it

The lock is a file under .lidr/locks that the system releases when its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from lidr import paths
from lidr.errors import LidrError, naming


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """Hold the output for as long as the block runs; raises LidrError where another process holds it."""
    path = paths.lock(output)
    with _held(path, output):
        try:
            yield
        finally:
            # While it is still held: whoever waits for this file finds that it is gone, and makes another.
            path.unlink(missing_ok=True)


@contextmanager
def _held(path: Path, output: Path) -> Iterator[None]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LidrError(f"{output}: {_holder(file)} is at work on it; wait for it, or end it") from None
            if not _is_there(path, file):
                continue
            with naming(path):
                file.truncate(0)
                file.write(str(os.getpid()).encode())
            yield
            return


def _holder(file: FileIO) -> str:
    file.seek(0)
    number = file.read().decode("ascii", errors="replace")
    return f"the process {number}" if number.isdigit() else "another process"


def _is_there(path: Path, file: FileIO) -> bool:
    """Whether this very file is still the one at its path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
