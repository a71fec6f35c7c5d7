"""Rows that others have published: what is used of them is checked, and all else ignored, whatever it holds.

A file holds JSON lines, one JSON list, CSV (`.csv`), Parquet (`.parquet`) or tab-separated values (`.tsv`). Texts may
begin with a byte order mark and have Windows' or Unix's line ends; blank lines at their end are passed over. Anything
else ends in an InputError that names the file and the line, or the row, counted from 1.
"""

from __future__ import annotations

import csv
import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from lidr.errors import InputError, short
from lidr.records.jsonl import repeated

SUFFIXES = (".jsonl", ".json", ".tsv", ".csv", ".parquet")
# Above it not every whole number has a float of its own: two ids could become one.
_LARGEST_EXACT = 2**53
_LONGEST_NUMBER = 1000  # digits; Python refuses to read some thousands
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# A quoted cell, in which a quotation mark is written twice. A text that only begins with one is none.
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
# The value of a key that stands twice in its object.
_REPEATED = object()


@dataclass(frozen=True)
class Row:
    """One row and its place, a line of the file or else a number; all methods raise an InputError that names it."""

    values: Mapping[str, Any]
    path: str | Path
    line: int | None = None
    number: int | None = None

    def error(self, message: str) -> InputError:
        return InputError(message if self.number is None else f"row {self.number}: {message}", self.path, self.line)

    def has(self, field: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(field) is not None

    def text(self, field: str, hint: str = "", blank: bool = False) -> str:
        """A text, which may be blank if so said; `hint` stands after the error where there is none at all."""
        value = self._value(field, hint)
        if not isinstance(value, str) or not (blank or value.strip()):
            raise self.error(f"the field {field!r} holds {short(value)}; a text is expected")
        return self._characters(field, value)

    def id(self, field: str, hint: str = "") -> str:
        """A text or a whole number, as text: 7, 7.0 and '7' are the same id."""
        return self._as_text(field, hint, "an id is expected, a text or a whole number")

    def answer(self, field: str, hint: str = "") -> str:
        """A text or a number, as text; 18.0 is 18."""
        value = self.values.get(field)
        if isinstance(value, float) and math.isfinite(value) and _whole(value) is None:
            return str(value)
        return self._as_text(field, hint, "an answer is expected, a text or a number")

    def _as_text(self, field: str, hint: str, expected: str) -> str:
        value = self._value(field, hint)
        if isinstance(value, str) and value.strip():
            return self._characters(field, value)
        if (number := _whole(value)) is None:
            raise self.error(f"the field {field!r} holds {short(value)}; {expected}")
        return str(number)

    def _value(self, field: str, hint: str) -> Any:
        if field not in self.values:
            raise self.error(f"no field {field!r}; there are {', '.join(self.values)}{hint}")
        if self.values[field] is _REPEATED:
            raise self.error(f"the key {field!r} stands twice in an object; once is expected")
        if self.values[field] is None:
            raise self.error(f"{field} is null; a value is expected in each row{hint}")
        return self.values[field]

    def _characters(self, field: str, text: str) -> str:
        if found := _LONE_SURROGATE.search(text):
            broken = f"{found[0]!r}, half of a surrogate pair, at character {found.start()}"
            raise self.error(f"the field {field!r} holds {broken}; repair the text or take it out")
        return text


def read(path: Path) -> list[Row]:
    """All rows of a file; there is at least one."""
    try:
        content = path.read_bytes().removeprefix(BOM_UTF8)
    except FileNotFoundError:
        raise InputError("no such file; JSON lines or one JSON list are expected", path) from None
    except IsADirectoryError:
        raise InputError("a folder stands where a file is expected", path) from None
    if path.suffix == ".tsv":
        rows = _table(content, path)
    elif path.suffix == ".csv":
        rows = _csv(content, path)
    elif path.suffix == ".parquet":
        rows = _parquet(content, path)
    elif content.lstrip().startswith(b"["):
        rows = _list(content, path)
    else:
        rows = [_on_line(line, path, number) for number, line in enumerate(_lines(content, path), start=1)]
    if not rows:
        raise InputError("no rows; one or more are expected", path)
    return rows


def files(folder: Path, *names: str) -> list[Path]:
    """The files with the first of these names that there are: patterns without an ending, as for `glob`.

    Raises InputError where they are in two formats, since one of them may be a leftover or have other rows.
    """
    for name in names:
        if found := sorted(path for suffix in SUFFIXES for path in folder.glob(f"{name}{suffix}")):
            other = next((path for path in found if path.suffix != found[0].suffix), None)
            if other is not None:
                both = f"{found[0].relative_to(folder)} and {other.relative_to(folder)}"
                raise InputError(f"{both} are in two formats; one of the two formats is expected", folder)
            return found
    return []


def check_unique(values: Sequence[str], rows: Sequence[Row], what: str) -> None:
    """Raise the error of the first row whose value an earlier row has."""
    first: dict[str, int] = {}
    for number, (value, row) in enumerate(zip(values, rows, strict=True), start=1):
        if value in first:
            raise row.error(f"the same {what} as in row {first[value]}: {short(value)}; each is expected once")
        first[value] = number


def own_ids(rows: Sequence[Row]) -> list[str]:
    """The rows' ids, each another, in the field `id`; none where no row has one. Raises an error where some have."""
    for row in rows:
        if row.has("id") != rows[0].has("id"):
            raise row.error("some rows have an id and some do not; all or none are expected to")
    if not rows[0].has("id"):
        return []
    ids = [row.id("id") for row in rows]
    check_unique(ids, rows, "id")
    return ids


def _whole(value: object) -> int | None:
    """The whole number that 3 and 3.0 are; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and abs(value) <= _LARGEST_EXACT and value.is_integer():
        return int(value)
    return None


def _lines(content: bytes, path: Path) -> list[bytes]:
    lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError("the file is empty; one row or more are expected", path)
    return lines


def _text(content: bytes, path: Path, line: int | None) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise InputError(f"not UTF-8 at byte {problem.start}", path, line) from problem


# --- JSON ------------------------------------------------------------------------------------------------------------


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        found |= dict.fromkeys(repeated(members), _REPEATED)
    return found


def _decode(content: bytes, path: Path, line: int | None, what: str, hint: str = "") -> Any:
    """JSON as Python reads it, which takes NaN, Infinity and halves of surrogate pairs."""

    def number(digits: str) -> int | float:
        return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)

    try:
        return json.loads(_text(content, path, line), object_pairs_hook=_object, parse_int=number)
    except json.JSONDecodeError as problem:
        reason = f"{problem.msg} at character {problem.colno - 1}{hint}"
        raise InputError(f"not one JSON {what}: {reason}", path, line or problem.lineno) from problem
    except RecursionError as problem:
        raise InputError(f"not one JSON {what}: nested too deeply", path, line) from problem


def _on_line(line: bytes, path: Path, number: int) -> Row:
    if not line.strip():
        raise InputError("an empty line; one JSON object a line is expected", path, number)
    hint = "; over several lines: `jq -c .` puts each object on one" if line.strip() == b"{" else ""
    found = _decode(line, path, number, "object on a line", hint)
    if not isinstance(found, dict):
        raise InputError(f"{short(found)} is no row; one JSON object a line is expected", path, number)
    return Row(found, path, line=number)


def _list(content: bytes, path: Path) -> list[Row]:
    found = _decode(content, path, None, "list", "; JSON lines or one list of objects are expected")
    rows = [Row(row, path, number=number) for number, row in enumerate(found, start=1)]
    for row in rows:
        if not isinstance(row.values, dict):
            raise row.error(f"{short(row.values)} is no row; a JSON object is expected")
    return rows


# --- CSV and Parquet --------------------------------------------------------------------------------------------------


def _csv(content: bytes, path: Path) -> list[Row]:
    """Rows by the names of the heading; a quoted cell may hold commas and line ends."""
    reader = csv.DictReader(StringIO(_text(content, path, None), newline=""), strict=True)
    rows: list[Row] = []
    try:
        for values in reader:
            line_ends = sum(cell.count("\n") for cell in values.values() if isinstance(cell, str))
            row = Row(values, path, line=reader.line_num - line_ends)
            # The csv module's own marks of a cell too many and of one that is missing.
            if None in values or None in values.values():
                raise row.error(f"{len(reader.fieldnames or ())} cells as in the heading are expected")
            rows.append(row)
    except csv.Error as problem:
        raise InputError(f"not CSV: {problem}", path, reader.line_num + 1) from problem
    if twice := repeated([(name, None) for name in reader.fieldnames or ()]):
        raise InputError(f"the column {twice[0]!r} stands twice; once is expected", path, 1)
    return rows


def _parquet(content: bytes, path: Path) -> list[Row]:
    from pyarrow import ArrowException, parquet

    try:
        rows = parquet.read_table(BytesIO(content)).to_pylist()
    except (ArrowException, OSError) as problem:
        raise InputError(f"not a Parquet file: {str(problem).splitlines()[0][:200]}", path) from problem
    return [Row(row, path, number=number) for number, row in enumerate(rows, start=1)]


# --- tab-separated values --------------------------------------------------------------------------------------------


def _table(content: bytes, path: Path) -> list[Row]:
    """Rows by the names of the heading, or by their column's number from 1, as text, where no cell is a `question`."""
    cells = [_cells(_text(line, path, number)) for number, line in enumerate(_lines(content, path), start=1)]
    heading = [name.strip().lower() for name in cells[0]]
    first = 1 if {"question", "query"} & set(heading) else 0
    rows = []
    for number, values in enumerate(cells[first:], start=first + 1):
        names = heading if first else [str(column) for column in range(1, len(values) + 1)]
        members = zip(names, (value or None for value in values), strict=False)
        row = Row(_object(list(members)), path, line=number)
        if len(values) != len(names):
            raise row.error(f"{len(values)} fields; {len(names)} as in the heading are expected")
        rows.append(row)
    return rows


def _cells(line: str) -> list[str]:
    return [cell[1:-1].replace('""', '"') if _QUOTED.fullmatch(cell) else cell for cell in line.split("\t")]
