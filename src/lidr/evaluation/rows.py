"""Reads a benchmark's rows of several models.

Rows are joined by `id:place`, never by position. A row that one model has and another lacks is an error, and so is a
row with another problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lidr.errors import InputError
from lidr.evaluation.registry import Benchmark
from lidr.records.jsonl import read_by_key

Rows = dict[str, Any]  # a benchmark's records by `id:place`, in file order


def read(benchmark: Benchmark, models: Sequence[str], places: Sequence[str]) -> dict[str, Rows]:
    """All models' rows, checked to have the same items, in the same order."""
    first, *others = models
    rows = {first: _read_file(benchmark, benchmark.path(first), places)}
    for model in others:
        own = _read_file(benchmark, benchmark.path(model), places)
        _check_same_items(benchmark, rows[first], own, benchmark.path(first), benchmark.path(model))
        rows[model] = {key: own[key] for key in rows[first]}
    return rows


def _read_file(benchmark: Benchmark, path: Path, places: Sequence[str]) -> Rows:
    rows: Rows = read_by_key(path, benchmark.record, key=lambda row: f"{row.id}:{benchmark.place(row)}")
    for key, row in rows.items():
        if benchmark.place(row) not in places:
            raise InputError(f"a row for {key!r}; expected are rows in {', '.join(places)}", path)
    ids = dict.fromkeys(row.id for row in rows.values()) if benchmark.is_parallel else {}
    for place in places:
        for item in ids:
            if f"{item}:{place}" not in rows:
                raise InputError(f"no row for '{item}:{place}'; another language has the item, each must", path)
    return rows


def _check_same_items(benchmark: Benchmark, first: Rows, own: Rows, first_path: Path, path: Path) -> None:
    for key in first | own:
        if key not in own:
            raise InputError(f"no row for {key!r}, which {first_path} has; the same items are expected", path)
        if key not in first:
            raise InputError(f"a row for {key!r}, which {first_path} lacks; the same items are expected", path)
    for key, row in own.items():
        for field in benchmark.same:
            if getattr(row, field) != getattr(first[key], field):
                raise InputError(f"{key!r} has another {field} than in {first_path}; rerun the older one", path)
