"""Resumable work: completions and scores are kept shard by shard under .lidr/shards.

    .lidr/shards/generate/m1/8c1f.../00003.jsonl

The folder's name is a hash of model, engine, software, shard size, what is asked and how, so only the same work reuses
a shard. A shard depends on its own requests alone: a resumed run gives the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from lidr.engines.base import Completion, Engine, Progress, Request, Sampling, TokenIds
from lidr.progress import bar
from lidr.records import Record
from lidr.records.jsonl import RecordT, read_rows, write_rows
from lidr.software import software

ItemT = TypeVar("ItemT")


class LogProbability(Record, frozen=True):
    """A shard's record of one scored answer."""

    value: float | None


class Shards:
    """The shards of a stage, `rows` each; its caller discards those of other work once its own output is written."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder, self._rows = folder, rows
        self._used: set[Path] = set()

    def generate(
        self, engine: Engine, requests: Sequence[Request], sampling: Sampling, description: str
    ) -> dict[str, Completion]:
        """Complete all requests, and return the completions by request id."""

        def work(part: Sequence[Request], progress: Progress) -> list[Completion]:
            return engine.generate(part, sampling, progress)

        place = self._place(engine, str(sampling), requests)
        return {row.id: row for row in self._all(place, requests, Completion, work, description)}

    def score(self, engine: Engine, answers: Sequence[TokenIds], description: str) -> list[float | None]:
        """The log-probability of each answer, in order."""

        def work(part: Sequence[TokenIds], progress: Progress) -> list[LogProbability]:
            return [LogProbability(value) for value in engine.log_probabilities(part, progress)]

        place = self._place(engine, "score", answers)
        return [row.value for row in self._all(place, answers, LogProbability, work, description)]

    def discard_others(self) -> None:
        """Remove the shards of all other work, such as an older model's.

        These stay: DVC runs a stage again for another judge, scorer or file in data/sources, and it then asks nothing.
        """
        for place in self._folder.glob("*"):
            if place not in self._used:
                shutil.rmtree(place, ignore_errors=True)

    def _all(
        self,
        place: Path,
        items: Sequence[ItemT],
        record: type[RecordT],
        work: Callable[[Sequence[ItemT], Progress], list[RecordT]],
        description: str,
    ) -> Iterator[RecordT]:
        """One record for each item, in order: `work` makes those of a shard, unless `place` has it."""
        starts = range(0, len(items), self._rows)
        shards = [place / f"{number:05d}.jsonl" for number in range(len(starts))]
        if there := sum(shard.exists() for shard in shards):
            print(f"{description}: {there} of {len(shards)} shards are in {place} already", file=sys.stderr)
        with bar(description, total=len(items), unit="row") as advance:
            for shard, start in zip(shards, starts, strict=True):
                if shard.exists():
                    done = list(read_rows(shard, record))
                    advance(len(done))
                else:
                    done = work(items[start : start + self._rows], advance)
                    write_rows(shard, done)
                yield from done

    def _place(self, engine: Engine, how: str, items: Iterable[Request | TokenIds]) -> Path:
        """The folder of this work."""
        made_by = software("lidr.engines", "lidr.chat", "lidr.models")
        digest = hashlib.sha256(f"{engine.fingerprint}\n{made_by}\n{how} {self._rows}\n".encode())
        for item in items:
            digest.update(msgspec.json.encode(item) + b"\n")
        place = self._folder / digest.hexdigest()[:16]
        self._used.add(place)
        return place
