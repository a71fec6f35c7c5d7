"""Published rows in every layout: used fields must be valid, unused ones may hold anything."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from lidr.errors import InputError
from lidr.records.published import files, read

ROWS = b'{"id": 1, "text": "x"}\n{"id": 2, "text": "y"}\n'


def parquet(**columns: list[Any]) -> bytes:
    """A Parquet file of these columns."""
    file = BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


LAYOUTS = {
    "JSON lines": ("a.jsonl", ROWS),
    "byte order mark": ("a.jsonl", b"\xef\xbb\xbf" + ROWS),
    "Windows": ("a.jsonl", ROWS.replace(b"\n", b"\r\n")),
    "blank lines at the end": ("a.jsonl", ROWS + b" \n\r\n\n"),
    "list": ("a.json", b'[{"id": 1, "text": "x"}, {"id": 2, "text": "y"}]'),
    "list under the name of lines": ("a.jsonl", b'\n[\n  {"id": 1, "text": "x"},\n  {"id": 2, "text": "y"}\n]\n'),
    "floats for ids": ("a.jsonl", ROWS.replace(b"1,", b"1.0,").replace(b"2,", b"2.0,")),
    "texts for ids": ("a.jsonl", ROWS.replace(b"1,", b'"1",')),
    "table": ("a.tsv", b"id\tquestion\ttext\n1\t\tx\n2\t\ty\n"),
    "quoted cells": ("a.tsv", b'\xef\xbb\xbfID\tQuestion\tText\r\n"1"\t\t"x"\r\n2\t\ty\r\n\r\n'),
    "CSV": ("a.csv", b'\xef\xbb\xbfid,text,note\r\n1,x,"a, b"\r\n2,"y","over\ntwo ""lines"""\r\n\r\n'),
    "Parquet": ("a.parquet", parquet(id=[1, 2], text=["x", "y"], picture=[b"\x00", None])),
    "anything unused": (
        "a.jsonl",
        b'{"id": 1, "text": "x", "n": NaN, "i": -Infinity, "s": "\\ud83d", "k": 1, "k": [{"k": 1, "k": 2}], "big": 1'
        + b"0" * 5_000
        + b'}\n{"id": 2, "text": "y", "z": 1e999}\n',
    ),
}


@pytest.mark.parametrize(("name", "content"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_same_rows_in_every_layout(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert [(row.id("id"), row.text("text")) for row in read(tmp_path / name)] == [("1", "x"), ("2", "y")]


BROKEN = {
    "missing": ("a.jsonl", None, ": no such file; JSON lines or one JSON list are expected"),
    "empty": ("a.jsonl", b"\xef\xbb\xbf\n \n", ": the file is empty; one row or more are expected"),
    "empty list": ("a.json", b"[]", ": no rows; one or more are expected"),
    "empty CSV": ("a.csv", b"id,text\n", ": no rows; one or more are expected"),
    "ragged CSV": ("a.csv", b"id,text\n1,x\n2,y,z\n", ":3: 2 cells as in the heading are expected"),
    "short CSV": ("a.csv", b"id,text\n1\n", ":2: 2 cells as in the heading are expected"),
    "open quotes": ("a.csv", b'id,text\n1,"x\n', ":2: not CSV: unexpected end of data"),
    "column twice": ("a.csv", b"id,text,id\n1,x,2\n", ":1: the column 'id' stands twice; once is expected"),
    "no Parquet": ("a.parquet", ROWS, ": not a Parquet file: "),
    "blank line": ("a.jsonl", b"{}\n\n{}\n", ":2: an empty line; one JSON object a line is expected"),
    "UTF-16": ("a.jsonl", ROWS.decode().encode("utf-16"), ":1: not UTF-8 at byte 0"),
    "two objects": ("a.jsonl", b"{} {}\n", ":1: not one JSON object on a line: Extra data at character 3"),
    "over several lines": (
        "a.jsonl",
        b'{\n  "id": 1\n}\n',
        ":1: not one JSON object on a line: Expecting property name enclosed in double quotes at character 1; "
        "over several lines: `jq -c .` puts each object on one",
    ),
    "no object": ("a.jsonl", b"{}\n7\n", ":2: 7 is no row; one JSON object a line is expected"),
    "no object in a list": ("a.jsonl", b'[{}, ["x"]]', ": row 2: ['x'] is no row; a JSON object is expected"),
    "two lists": (
        "a.jsonl",
        b"[{}]\n[{}]\n",
        ":2: not one JSON list: Extra data at character 0; JSON lines or one list of objects are expected",
    ),
    "deep": ("a.jsonl", b'{"a":' + b"[" * 100_000, ":1: not one JSON object on a line: nested too deeply"),
    "ragged table": ("a.tsv", b"question\tid\nx\n", ":2: 1 fields; 2 as in the heading are expected"),
}


@pytest.mark.parametrize(("name", "content", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_file_is_named(tmp_path: Path, name: str, content: bytes | None, expected: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}{expected}")
    assert "\n" not in str(caught.value)


FIELDS = {
    "missing": ('{"a": 1, "b": 2}', "no field 'x'; there are a, b (hint)"),
    "null": ('{"x": null}', "x is null; a value is expected in each row (hint)"),
    "twice": ('{"x": "1", "x": "1"}', "the key 'x' stands twice in an object; once is expected"),
    "NaN": ('{"x": NaN}', "the field 'x' holds nan; an id is expected, a text or a whole number"),
    "fraction": ('{"x": 1.5}', "the field 'x' holds 1.5; an id is expected, a text or a whole number"),
    "float that two numbers share": (
        '{"x": 9007199254740994.0}',
        "the field 'x' holds 9007199254740994.0; an id is expected, a text or a whole number",
    ),
    "bool": ('{"x": true}', "the field 'x' holds True; an id is expected, a text or a whole number"),
    "half a character": (
        '{"x": "a\\ud83d"}',
        "the field 'x' holds '\\ud83d', half of a surrogate pair, at character 1; repair the text or take it out",
    ),
}


@pytest.mark.parametrize(("line", "expected"), FIELDS.values(), ids=FIELDS.keys())
def test_used_field_is_checked(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": 1}\n' + line)
    with pytest.raises(InputError) as caught:
        read(path)[1].id("x", " (hint)")
    assert str(caught.value) == f"{path}:2: {expected}"


@pytest.mark.parametrize(
    ("value", "expected"), [("18", "18"), ("18.0", "18"), ("0.1", "0.1"), ('"18.0"', "18.0"), ("-0.0", "0")]
)
def test_answers_are_texts_or_numbers(tmp_path: Path, value: str, expected: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"x": {value}}}')
    assert read(tmp_path / "a.jsonl")[0].answer("x") == expected


@pytest.mark.parametrize("value", ["NaN", "Infinity", "true", "[]", '""'])
def test_what_is_no_answer(tmp_path: Path, value: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"x": {value}}}')
    with pytest.raises(InputError, match="an answer is expected, a text or a number"):
        read(tmp_path / "a.jsonl")[0].answer("x")


def test_a_file_in_each_of_two_formats_is_refused(tmp_path: Path) -> None:
    for place in ("p1/es.jsonl", "p2/es.csv", "p1/de.csv", "p2/de.csv"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    with pytest.raises(InputError, match=r"p1/es\.jsonl and p2/es\.csv are in two formats"):
        files(tmp_path, "es", "*/es")
    assert files(tmp_path, "de", "*/de") == [tmp_path / "p1" / "de.csv", tmp_path / "p2" / "de.csv"]
