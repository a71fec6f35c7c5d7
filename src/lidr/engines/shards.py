"""Generation that survives being killed: completions are kept shard by shard under .lidr/shards.

    .lidr/shards/generate/m1/8c1f.../00003.jsonl

The folder's name is a hash of model, engine, sampling and requests, so a shard is only ever taken up by the very same
work. A shard is a function of its own requests alone: an interrupted run ends with the same bytes as any other.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from lidr.engines.base import Completion, Engine, Progress, Request, Sampling
from lidr.progress import bar
from lidr.records.jsonl import RecordT, read_rows, write_rows

ItemT = TypeVar("ItemT")


def generate_in_shards(
    engine: Engine, requests: Sequence[Request], sampling: Sampling, folder: Path, rows: int, description: str
) -> dict[str, Completion]:
    """Complete all requests, `rows` to a shard, and return the completions by request id.

    `folder` holds the shards until `discard` is called, which the caller does once its own output is written.
    """
    place = folder / _key(engine, requests, sampling)
    with bar(description, total=len(requests), unit="row") as advance:
        completions = in_shards(
            place, requests, rows, Completion, lambda part: engine.generate(part, sampling, advance), advance
        )
        return {completion.id: completion for completion in completions}


def in_shards(
    place: Path,
    items: Sequence[ItemT],
    rows: int,
    record: type[RecordT],
    work: Callable[[Sequence[ItemT]], list[RecordT]],
    advance: Progress,
) -> Iterator[RecordT]:
    """One record for each item, in order: `work` makes those of a shard of `rows` items, unless `place` has it."""
    for number, start in enumerate(range(0, len(items), rows)):
        shard = place / f"{number:05d}.jsonl"
        if shard.exists():
            done = list(read_rows(shard, record))
            advance(len(done))
        else:
            done = work(items[start : start + rows])
            write_rows(shard, done)
        yield from done


def discard(folder: Path) -> None:
    """Remove the shards of finished work."""
    shutil.rmtree(folder, ignore_errors=True)


def _key(engine: Engine, requests: Sequence[Request], sampling: Sampling) -> str:
    digest = hashlib.sha256(f"{engine.fingerprint}\n{sampling}\n".encode())
    for request in requests:
        digest.update(msgspec.json.encode([request.id, request.conversation]) + b"\n")
    return digest.hexdigest()[:16]
