"""How long each stage took: MLflow is told of most of them after the last one.

    .lidr/times/reports-mgsm-m1.json      {"began": 1764360000123, "ended": 1764360012345}       milliseconds

What DVC took from its cache was not made here: its files are of another time than these, or there is no such file, and
its run begins as it ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from lidr import paths
from lidr.records.jsonl import read_json, write_json

# DVC hashes what a stage wrote, and may put it in its place anew.
_SETTLED = 60_000


class Times(Struct, frozen=True):
    """A stage's last whole run."""

    began: int
    ended: int


@contextmanager
def time_kept(output: Path) -> Iterator[None]:
    """Keep how long the block took that made this output, unless an error ends it."""
    began = _now()
    yield
    write_json(paths.times(output), Times(began, _now()))


def began(outputs: Sequence[Path], changed: int) -> int:
    """When the stage began that changed these outputs last, at `changed`; where that is not known, `changed`."""
    path = paths.times(outputs[0]) if outputs else None
    if path is None or not path.exists():
        return changed
    known = read_json(path, Times)
    assert isinstance(known, Times)
    return known.began if known.began <= changed <= known.ended + _SETTLED else changed


def _now() -> int:
    return time.time_ns() // 1_000_000
