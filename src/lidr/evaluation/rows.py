"""A benchmark's rows of several models, of the same items.

    >>> rows = read(benchmark_of("mgsm"), ["m0", "m1"], ["en", "es"])
    >>> rows["m1"]["lab-3:es"].right
    True

Rows are joined by `id:place`, never by position: a row that one model has and another lacks is an error, and so is a
row whose problem is another one.
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
    """All models' rows, of the same items in the same order."""
    first, *others = models
    rows = {first: _read_file(benchmark, benchmark.path(first), places)}
    for model in others:
        own = _read_file(benchmark, benchmark.path(model), places)
        _check_same_items(benchmark, rows[first], own, benchmark.path(first), benchmark.path(model))
        rows[model] = {key: own[key] for key in rows[first]}
    return rows


def _read_file(benchmark: Benchmark, path: Path, places: Sequence[str]) -> Rows:
    by_key = read_by_key(path, benchmark.record, key=lambda row: f"{row.id}:{benchmark.place(row)}")
    rows: Rows = {str(key): row for key, row in by_key.items()}
    ids: dict[str, dict[str, None]] = {place: {} for place in places}
    for key, row in rows.items():
        if benchmark.place(row) not in ids:
            raise InputError(f"a row for {key!r}; expected are rows in {', '.join(ids)}", path)
        ids[benchmark.place(row)][row.id] = None
    if benchmark.is_parallel:
        _check_parallel(ids, path)
    return rows


def _check_parallel(ids: dict[str, dict[str, None]], path: Path) -> None:
    every = {item: lang for lang in ids for item in ids[lang]}
    for lang in ids:
        for item, other in every.items():
            if item not in ids[lang]:
                raise InputError(f"no row for '{item}:{lang}'; {other!r} has the item, each language must", path)


def _check_same_items(benchmark: Benchmark, first: Rows, own: Rows, first_path: Path, path: Path) -> None:
    for key in first:
        if key not in own:
            raise InputError(f"no row for {key!r}, which {first_path} has; the same items are expected", path)
    for key, row in own.items():
        if key not in first:
            raise InputError(f"a row for {key!r}, which {first_path} lacks; the same items are expected", path)
        for field in benchmark.same:
            if getattr(row, field) != getattr(first[key], field):
                raise InputError(f"{key!r} has another {field} than in {first_path}; rerun the older one", path)
