"""Answers of which a prompt has several, and their scores: rows of one id in the order of their samples."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from lidr.errors import InputError
from lidr.records import Response, Score
from lidr.records.jsonl import read_rows

RowT = TypeVar("RowT", Response, Score)


def read_samples(path: Path) -> dict[str, tuple[Response, ...]]:
    """All samples of each prompt, by its id; raises InputError where they are not numbered 0, 1, ..."""
    samples = _by_id(path, Response)
    for name, rows in samples.items():
        found = [row.sample for row in rows]
        if found != list(range(len(rows))):
            raise InputError(f"samples {found} of {name!r}; {list(range(len(rows)))} are expected", path)
    return samples


def read_scores(path: Path) -> dict[str, tuple[Score, ...]]:
    """The scores of each prompt's samples, by its id; an empty file has none."""
    return _by_id(path, Score, may_be_empty=True)


def _by_id(path: Path, record: type[RowT], may_be_empty: bool = False) -> dict[str, tuple[RowT, ...]]:
    found: dict[str, list[RowT]] = {}
    for number, row in enumerate(read_rows(path, record, may_be_empty), start=1):
        rows = found.setdefault(row.id, [])
        if rows and rows[-1].sample >= row.sample:
            raise InputError(f"a second row with the id {row.id!r}; ids are expected once each", path, number)
        rows.append(row)
    return {name: tuple(rows) for name, rows in found.items()}
