"""Generation that survives being killed: completions are kept shard by shard under .lidr/shards.

    .lidr/shards/generate/m1/8c1f.../00003.jsonl

The folder's name is a hash of model, engine, sampling and requests, so a shard is only ever taken up by the very same
work. A shard is a function of its own requests alone: an interrupted run ends with the same bytes as any other.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lidr.engines.base import Completion, Engine, Request, Sampling
from lidr.progress import bar
from lidr.records.jsonl import read_rows, write_rows


def generate_in_shards(
    engine: Engine, requests: Sequence[Request], sampling: Sampling, folder: Path, rows: int, description: str
) -> dict[str, Completion]:
    """Complete all requests, `rows` to a shard, and return the completions by request id.

    `folder` holds the shards until `discard` is called, which the caller does once its own output is written.
    """
    place = folder / _key(engine, requests, sampling)
    completions: dict[str, Completion] = {}
    with bar(description, total=len(requests), unit="row") as advance:
        for number, start in enumerate(range(0, len(requests), rows)):
            shard = place / f"{number:05d}.jsonl"
            part = requests[start : start + rows]
            if shard.exists():
                done = list(read_rows(shard, Completion))
                advance(len(done))
            else:
                done = engine.generate(part, sampling, advance)
                write_rows(shard, done)
            completions |= {completion.id: completion for completion in done}
    return completions


def discard(folder: Path) -> None:
    """Remove the shards of finished work."""
    shutil.rmtree(folder, ignore_errors=True)


def _key(engine: Engine, requests: Sequence[Request], sampling: Sampling) -> str:
    digest = hashlib.sha256(f"{engine.fingerprint}\n{sampling}\n".encode())
    for request in requests:
        digest.update(msgspec.json.encode([request.id, request.conversation]) + b"\n")
    return digest.hexdigest()[:16]
