"""Rows that others have published: what is used of them is checked, and all else ignored, whatever it holds.

A file holds JSON lines, one JSON list, or tab-separated values (`.tsv`), with or without a byte order mark, in Windows'
or Unix's line ends; blank lines at its end are passed over. Anything else ends in an InputError that names the file and
the line, or the row of a list, counted from 1.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lidr.errors import InputError
from lidr.records.jsonl import repeated

_LONGEST = 80
# Above it not every whole number has a float of its own: two ids could become one.
_LARGEST_EXACT = 2**53
_LONGEST_NUMBER = 1000  # digits; Python refuses to read some thousands
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# A quoted cell, in which a quotation mark is written twice. A text that only begins with one is none.
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True)
class Row:
    """One row, and the error that names its place; all methods raise it for a field that is not as they say."""

    values: Mapping[str, Any]
    error: Callable[[str], InputError]

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
        value = self._value(field, hint)
        if isinstance(value, str) and value.strip():
            return self._characters(field, value)
        if (number := _whole(value)) is None:
            raise self.error(f"the field {field!r} holds {short(value)}; an id is expected, a text or a whole number")
        return str(number)

    def answer(self, field: str, hint: str = "") -> str:
        """A text or a number, as text; 18.0 is 18."""
        value = self._value(field, hint)
        if isinstance(value, str) and value.strip():
            return self._characters(field, value)
        if (number := _whole(value)) is not None:
            return str(number)
        if not isinstance(value, float) or not math.isfinite(value):
            raise self.error(f"the field {field!r} holds {short(value)}; an answer is expected, a text or a number")
        return str(value)

    def _value(self, field: str, hint: str) -> Any:
        if field not in self.values:
            raise self.error(f"no field {field!r}; there are {', '.join(self.values)}{hint}")
        if field in getattr(self.values, "repeated", ()):
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
    elif content.lstrip().startswith(b"["):
        rows = _list(content, path)
    else:
        rows = [Row(_json_line(line, path, n), _at_line(path, n)) for n, line in enumerate(_lines(content, path), 1)]
    if not rows:
        raise InputError("the list is empty; one row or more are expected", path)
    return rows


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
    ids = [row.id("id") for row in rows] if rows[0].has("id") else []
    if ids:
        check_unique(ids, rows, "id")
    return ids


def short(value: object) -> str:
    """A value as an error shows it."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _whole(value: object) -> int | None:
    """The whole number that 3 and 3.0 are; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and abs(value) <= _LARGEST_EXACT and value.is_integer():
        return int(value)
    return None


def _at_line(path: Path, line: int | None) -> Callable[[str], InputError]:
    return lambda message: InputError(message, path, line)


def _at_row(path: Path, number: int) -> Callable[[str], InputError]:
    return lambda message: InputError(f"row {number}: {message}", path)


def _lines(content: bytes, path: Path) -> list[bytes]:
    lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError("the file is empty; one row or more are expected", path)
    return lines


def _text(content: bytes, error: Callable[[str], InputError]) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"not UTF-8 at byte {problem.start}") from problem


# --- JSON ------------------------------------------------------------------------------------------------------------


class _Object(dict[str, Any]):
    """A JSON object that knows which of its keys stand in it more than once."""

    repeated: frozenset[str] = frozenset()


def _object(members: list[tuple[str, Any]]) -> _Object:
    found = _Object(members)
    if len(found) < len(members):
        found.repeated = frozenset(repeated(members))
    return found


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


def _decode(content: bytes, error: Callable[[str], InputError], what: str, where: str, hint: str = "") -> Any:
    """JSON as Python reads it, which takes NaN, Infinity and halves of surrogate pairs."""
    try:
        return json.loads(_text(content, error), object_pairs_hook=_object, parse_int=_number)
    except json.JSONDecodeError as problem:
        place = where.format(line=problem.lineno, character=problem.colno - 1)
        raise error(f"not one JSON {what}: {problem.msg} {place}{hint}") from problem
    except RecursionError as problem:
        raise error(f"not one JSON {what}: nested too deeply") from problem


def _json_line(line: bytes, path: Path, number: int) -> _Object:
    error = _at_line(path, number)
    if not line.strip():
        raise error("an empty line; one JSON object a line is expected")
    hint = "; over several lines: `jq -c .` puts each object on one" if line.strip() == b"{" else ""
    found = _decode(line, error, "object on a line", "at character {character}", hint)
    if not isinstance(found, _Object):
        raise error(f"{short(found)} is no row; one JSON object a line is expected")
    return found


def _list(content: bytes, path: Path) -> list[Row]:
    hint = "; JSON lines or one list of objects are expected"
    found = _decode(content, _at_line(path, None), "list", "in line {line}, character {character}", hint)
    rows = [Row(row, _at_row(path, number)) for number, row in enumerate(found, start=1)]
    for row in rows:
        if not isinstance(row.values, _Object):
            raise row.error(f"{short(row.values)} is no row; a JSON object is expected")
    return rows


# --- tab-separated values --------------------------------------------------------------------------------------------


def _table(content: bytes, path: Path) -> list[Row]:
    """Rows by the names of the heading, or by their column's number from 1, as text, where no cell is a `question`."""
    cells = [_cells(line, _at_line(path, n)) for n, line in enumerate(_lines(content, path), start=1)]
    heading = [name.strip().lower() for name in cells[0]]
    first = 1 if {"question", "query"} & set(heading) else 0
    rows = []
    for number, values in enumerate(cells[first:], start=first + 1):
        names = heading if first else [str(column) for column in range(1, len(values) + 1)]
        members = zip(names, (value or None for value in values), strict=False)
        row = Row(_object(list(members)), _at_line(path, number))
        if len(values) != len(names):
            raise row.error(f"{len(values)} fields; {len(names)} as in the heading are expected")
        rows.append(row)
    return rows


def _cells(line: bytes, error: Callable[[str], InputError]) -> list[str]:
    return [
        cell[1:-1].replace('""', '"') if _QUOTED.fullmatch(cell) else cell for cell in _text(line, error).split("\t")
    ]
