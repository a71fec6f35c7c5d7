"""Data that a stage used, as MLflow's own dataset inputs.

name "pairs m2", digest 5f4d....dir (DVC's hash), columns of the first row, row counts by language
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lidr.tracking.hashes import dvc_hash

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_TYPES = {str: "string", bool: "boolean", int: "long", float: "double"}


def of_path(path: Path, name: str, context: str, rows: Mapping[str, int]) -> DatasetInput:
    """A file or folder of the pipeline; `rows` counts by language."""
    return _input(name, dvc_hash(path), path.as_posix(), _first_row(path), context, rows)


def of_rows(rows: Sequence[Mapping[str, Any]], name: str, source: str, context: str) -> DatasetInput:
    """Rows that are in no file of their own; the digest is that of a file of JSON lines of them."""
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    digest = hashlib.md5(lines, usedforsecurity=False).hexdigest()
    return _input(name, digest, source, rows[0], context, Counter(str(row["lang"]) for row in rows))


def _input(
    name: str, digest: str, source: str, row: Mapping[str, Any] | None, context: str, rows: Mapping[str, int]
) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    columns = [{"type": _TYPES.get(type(v), "any"), "name": n, "required": True} for n, v in (row or {}).items()]
    schema = _json({"mlflow_colspec": columns}) if columns else None
    profile = _json({"num_rows": sum(rows.values()), "rows": dict(rows)})
    dataset = Dataset(name, digest, "local", _json({"uri": source}), schema, profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def _first_row(path: Path) -> dict[str, Any] | None:
    """The first row of a file of JSON lines, or of a folder's first one."""
    file = min(path.glob("*.jsonl"), default=None) if path.is_dir() else path
    if file is None or file.suffix != ".jsonl":
        return None
    with file.open("rb") as lines:
        first = lines.readline()
    return msgspec.json.decode(first, type=dict[str, Any]) if first else None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
