"""Strict reading and atomic writing of JSON lines (UTF-8, one record a line, `\\n` at each end).

A line that is not as the record says ends in an `InputError` that names file, line and what was expected. A file is
written beside its place and moved there when it is whole: a reader sees the old file or the new one.
"""

from __future__ import annotations

import json
import os
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, overload

import msgspec

from lidr.errors import InputError, naming, short
from lidr.records import Record, Response, Score

RecordT = TypeVar("RecordT", bound=Record)
SampleT = TypeVar("SampleT", Response, Score)
ValueT = TypeVar("ValueT")
_TEMPORARY = ".part"
_ENCODER = msgspec.json.Encoder()


def read_rows(path: Path, record: type[RecordT], may_be_empty: bool = False) -> Iterator[RecordT]:
    """Yield the file's rows, validated; raises InputError for a missing file, an empty one unless it may be empty, or
    a malformed line.
    """
    decoder, number = msgspec.json.Decoder(record), 0
    with _open_to_read(path) as file:
        for number, line in enumerate(file, start=1):
            row = _decode(decoder, line, path, number)
            # A line as this module writes it has each key once; only others need the slower look.
            if _ENCODER.encode(row) != line.removesuffix(b"\n"):
                _check_keys(line, path, number)
            yield row
    if not number and not may_be_empty:
        raise InputError("the file is empty; one JSON object a line is expected", path)


def read_by_key(
    path: Path,
    record: type[RecordT],
    key: Callable[[Any], str] = lambda row: row.id,
    may_be_empty: bool = False,
) -> dict[str, RecordT]:
    """The file's rows by their key, in file order; raises InputError where two rows share a key."""
    rows: dict[str, RecordT] = {}
    for number, row in enumerate(read_rows(path, record, may_be_empty), start=1):
        name = key(row)
        if name in rows:
            raise _second(name, path, number)
        rows[name] = row
    return rows


def read_samples(path: Path) -> dict[str, tuple[Response, ...]]:
    """All samples of each prompt, by its id; raises InputError where they are not numbered 0, 1, ..."""
    samples = _in_order(path, Response)
    for name, rows in samples.items():
        found, expected = [row.sample for row in rows], list(range(len(rows)))
        if found != expected:
            raise InputError(f"samples {found} of {name!r}; {expected} are expected", path)
    return samples


def read_scores(path: Path) -> dict[str, tuple[Score, ...]]:
    """The scores of each prompt's samples, by its id; an empty file has none."""
    return _in_order(path, Score, may_be_empty=True)


def write_rows(path: Path, rows: Iterable[Record]) -> int:
    """Write all rows or nothing, and return their number."""
    count = 0
    with atomic_file(path) as file:
        for row in rows:
            file.write(_ENCODER.encode(row) + b"\n")
            count += 1
    return count


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: Path, data: object) -> None:
    """Write an indented JSON file, whole or not at all; keys keep their order."""
    write_text(path, msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n")


@overload
def read_json(path: Path) -> dict[str, Any]: ...
@overload
def read_json(path: Path, kind: type[ValueT]) -> ValueT: ...
def read_json(path: Path, kind: type[Any] = dict) -> Any:
    """One JSON file as `kind`; raises InputError where it is missing or not of that shape."""
    with _open_to_read(path) as file:
        text = file.read()
    try:
        value = msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not the JSON that is expected: {error}", path) from error
    _check_keys(text, path)
    return value


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path` when the block ends without an error, and never otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + _TEMPORARY)
    try:
        with naming(path):
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder that takes the place of `path` when the block ends without an error, and never otherwise."""
    import shutil

    temporary, old = path.with_name(path.name + _TEMPORARY), path.with_name(path.name + ".old")
    if old.exists() and not path.exists():
        old.replace(path)  # a run was killed between the two moves below
    for left_over in (temporary, old):
        shutil.rmtree(left_over, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def repeated(members: Iterable[tuple[str, Any]]) -> list[str]:
    """The keys that stand twice or more often among the members of one JSON object."""
    counts = Counter(name for name, _ in members)
    return [name for name, count in counts.items() if count > 1]


def _check_keys(text: bytes, path: Path, line: int | None = None) -> None:
    """Raise the error of a key that stands twice in an object, of which a reader would take one in silence."""

    def check(members: list[tuple[str, Any]]) -> None:
        for name in repeated(members):
            raise InputError(f"the key {short(name)} stands twice in an object; once is expected", path, line)

    # Numbers stay text: Python refuses to read those of thousands of digits.
    json.loads(text, object_pairs_hook=check, parse_int=str, parse_float=str)


def _in_order(path: Path, record: type[SampleT], may_be_empty: bool = False) -> dict[str, tuple[SampleT, ...]]:
    found: dict[str, list[SampleT]] = {}
    for number, row in enumerate(read_rows(path, record, may_be_empty), start=1):
        rows = found.setdefault(row.id, [])
        if rows and rows[-1].sample >= row.sample:
            raise _second(row.id, path, number)
        rows.append(row)
    return {name: tuple(rows) for name, rows in found.items()}


def _second(name: str, path: Path, line: int) -> InputError:
    return InputError(f"a second row with the id {short(name)}; ids are expected once each", path, line)


def _open_to_read(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError("no such file; run the stage that makes it, or `dvc repro`", path) from error
    except IsADirectoryError as error:
        raise InputError("a folder stands where a file is expected", path) from error


def _decode(decoder: msgspec.json.Decoder[RecordT], line: bytes, path: Path, number: int) -> RecordT:
    if number == 1 and line.startswith(BOM_UTF8):
        raise InputError("a byte order mark; UTF-8 without one is expected", path, number)
    if line.endswith(b"\r\n"):
        raise InputError("the line ends in \\r\\n; \\n alone is expected", path, number)
    if not line.strip():
        raise InputError("an empty line; one JSON object a line is expected", path, number)
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as error:
        raise InputError(f"not a {_described(decoder.type, str(error))}", path, number) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"not one JSON object on a line: {error}", path, number) from error
    except UnicodeDecodeError as error:
        # msgspec counts from the beginning of a string.
        start = line.index(error.object) + error.start
        raise InputError(f"not UTF-8 at byte {start} of the line", path, number) from error


def _described(record: Any, error: str) -> str:
    fields = [
        f"{field.encode_name}{'' if field.required else ' (optional)'}" for field in msgspec.structs.fields(record)
    ]
    return f"{record.__name__.lower()} record: {error}; its fields are {', '.join(fields)}"
