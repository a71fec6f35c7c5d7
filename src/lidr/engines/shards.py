"""Resumable work: completions and scores are kept shard by shard under .lidr/shards.

    .lidr/shards/generate/m1/8c1f.../00003.jsonl

The folder's name is a hash of model, engine, shard size, what is asked and how, so only the same work reuses a shard. A
shard depends on its own requests alone: a resumed run gives the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from lidr.engines.base import Completion, Engine, Progress, Request, Sampling, TokenIds
from lidr.progress import bar
from lidr.records import Record
from lidr.records.jsonl import RecordT, read_rows, write_rows

ItemT = TypeVar("ItemT")


class LogProbability(Record, frozen=True):
    """A shard's record of one scored answer."""

    value: float | None


def generate_in_shards(
    engine: Engine, requests: Sequence[Request], sampling: Sampling, folder: Path, rows: int, description: str
) -> dict[str, Completion]:
    """Complete all requests, `rows` per shard, and return the completions by request id.

    `folder` holds the shards until `discard` is called, which the caller does once its own output is written.
    """

    def work(part: Sequence[Request], progress: Progress) -> list[Completion]:
        return engine.generate(part, sampling, progress)

    place = folder / _key(engine, f"{sampling} {rows}", requests)
    return {row.id: row for row in _in_shards(place, requests, rows, Completion, work, description)}


def score_in_shards(
    engine: Engine, answers: Sequence[TokenIds], folder: Path, rows: int, description: str
) -> list[float | None]:
    """The log-probability of each answer, in order; shards as those of `generate_in_shards`."""

    def work(part: Sequence[TokenIds], progress: Progress) -> list[LogProbability]:
        return [LogProbability(value) for value in engine.log_probabilities(part, progress)]

    place = folder / _key(engine, f"score {rows}", answers)
    return [row.value for row in _in_shards(place, answers, rows, LogProbability, work, description)]


def _in_shards(
    place: Path,
    items: Sequence[ItemT],
    rows: int,
    record: type[RecordT],
    work: Callable[[Sequence[ItemT], Progress], list[RecordT]],
    description: str,
) -> Iterator[RecordT]:
    """One record for each item, in order: `work` makes those of a shard of `rows` items, unless `place` has it."""
    with bar(description, total=len(items), unit="row") as advance:
        for number, start in enumerate(range(0, len(items), rows)):
            shard = place / f"{number:05d}.jsonl"
            if shard.exists():
                done = list(read_rows(shard, record))
                advance(len(done))
            else:
                done = work(items[start : start + rows], advance)
                write_rows(shard, done)
            yield from done


def discard(folder: Path) -> None:
    """Remove the shards of finished work."""
    shutil.rmtree(folder, ignore_errors=True)


def _key(engine: Engine, how: str, items: Iterable[Request | TokenIds]) -> str:
    digest = hashlib.sha256(f"{engine.fingerprint}\n{how}\n".encode())
    for item in items:
        digest.update(msgspec.json.encode(item) + b"\n")
    return digest.hexdigest()[:16]
