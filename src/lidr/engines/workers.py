"""How many processes an engine on a CPU computes in: each a batch with one thread, all with one model.

    >>> count("auto", "cpu"), count("auto", "cuda")
    (2, 0)

A small model does not fill two cores with one batch: the time goes into Python between short matrix products. Two
processes with a batch each do. As each has one thread, what comes out is the same for any number of processes.
"""

from __future__ import annotations

from typing import Literal

from lidr.errors import InputError
from lidr.pool import cores


def count(wanted: int | Literal["auto"] | None, device: str) -> int:
    """How many workers to make: 0 where this process computes alone; raises InputError where it would have to."""
    if wanted == "auto":
        return cores() if device == "cpu" else 0
    if wanted is not None and device in ("cuda", "mps"):
        raise InputError(f"engine.processes: null or `auto` is expected, for on {device} there is one process")
    return wanted or 0
