"""Files of records: errors with file and line, and atomic writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lidr.errors import InputError
from lidr.records import Message, Pair, Prompt, PromptKind, Source
from lidr.records.jsonl import atomic_folder, read_by_key, read_json, read_rows, write_json, write_rows

GOOD = b'{"name":"a","row":0}\n'
NOT_JSON = "not one JSON object on a line: "

# (content, line in the error, message)
BROKEN = {
    "cut off": (GOOD + b'{"name":"a","row":1', 2, NOT_JSON + "Input data was truncated"),
    "NaN": (b'{"name":"a","row":NaN}\n', 1, NOT_JSON + "JSON is malformed: invalid character (byte 18)"),
    "half a surrogate pair": (
        b'{"name":"\\ud800","row":1}\n',
        1,
        NOT_JSON + "JSON is malformed: unexpected end of escaped utf-16 surrogate pair (byte 15)",
    ),
    "empty line": (GOOD + b"\n" + GOOD, 2, "an empty line; one JSON object a line is expected"),
    "BOM": (b"\xef\xbb\xbf" + GOOD, 1, "a byte order mark; UTF-8 without one is expected"),
    "CRLF": (GOOD + b'{"name":"a","row":1}\r\n', 2, "the line ends in \\r\\n; \\n alone is expected"),
    "UTF-16": ('{"name":"a","row":1}\n'.encode("utf-16-be"), 1, NOT_JSON),
    "bad UTF-8": (GOOD + b'{"name":"a\xffb","row":1}\n', 2, "not UTF-8 at byte 10 of the line"),
    "key twice": (GOOD + b'{"name":"a","name":"a","row":1}\n', 2, "the key 'name' stands twice in an object"),
    "key twice, escaped": (b'{"name":"a","n\\u0061me":"a","row":1}\n', 1, "the key 'name' stands twice in an object"),
    "missing field": (b'{"name":"a"}\n', 1, "not a source record: Object missing required field `row`"),
    "unknown field": (
        b'{"name":"a","row":1,"z":2}\n',
        1,
        "not a source record: Object contains unknown field `z`",
    ),
    "text for a number": (
        b'{"name":"a","row":"1"}\n',
        1,
        "not a source record: Expected `int`, got `str` - at `$.row`",
    ),
    "too large": (b'{"name":"a","row":1e400}\n', 1, "not a source record: Number out of range - at `$.row`"),
}


@pytest.mark.parametrize(("content", "line", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_line_is_named(tmp_path: Path, content: bytes, line: int, expected: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_rows(path, Source))
    assert str(caught.value).startswith(f"{path}:{line}: {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Path.touch, "the file is empty; one JSON object a line is expected"),
        (Path.mkdir, "a folder stands where a file is expected"),
        (lambda path: None, "no such file; run the stage that makes it, or `dvc repro`"),
    ],
)
def test_no_file_of_rows(tmp_path: Path, make: Callable[[Path], None], expected: str) -> None:
    path = tmp_path / "rows.jsonl"
    make(path)
    with pytest.raises(InputError) as caught:
        read_by_key(path, Prompt)
    assert str(caught.value) == f"{path}: {expected}"


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [Source(name="a\u2028b\u2029c\x85d\x0be", row=0), Source(name="b", row=1)]
    write_rows(path, rows)
    assert list(read_rows(path, Source)) == rows
    path.write_bytes(b'{"row": 0, "name": "c"}\n{"name":"b","row":1}')  # no end of the last line
    assert list(read_rows(path, Source)) == [Source(name="c", row=0), Source(name="b", row=1)]
    path.write_bytes(b"")
    assert read_by_key(path, Prompt, may_be_empty=True) == {}


def test_id_twice(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    line = '{{"id":"{}","lang":"en","text":"t","source":{{"name":"s","row":0}},"kind":"task"}}\n'
    path.write_text("".join(line.format(id) for id in ("a", "b", "a")))
    with pytest.raises(InputError) as caught:
        read_by_key(path, Prompt)
    assert str(caught.value) == f"{path}:3: a second row with the id 'a'; ids are expected once each"


def test_json_file_of_another_shape(tmp_path: Path) -> None:
    path = tmp_path / "lidr.json"
    path.write_text('{"name": "a"}')
    with pytest.raises(InputError) as caught:
        read_json(path, Source)
    assert str(caught.value) == f"{path}: not the JSON that is expected: Object missing required field `row`"


def test_json_file_keeps_the_order_of_its_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "b": 1,\n  "a": "é"\n}\n'


# ---- whole or not at all


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [Source(name="old", row=0)])

    def rows() -> object:
        yield Source(name="new", row=0)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        write_rows(path, rows())  # type: ignore[arg-type]
    assert path.read_bytes() == b'{"name":"old","row":0}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    target = _folder(tmp_path / "out", "old.txt")
    with pytest.raises(ValueError, match="in the middle"), atomic_folder(target) as folder:
        (folder / "new.txt").touch()
        raise ValueError("in the middle")
    assert [p.name for p in target.iterdir()] == ["old.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_leftovers_of_a_killed_run_are_not_taken_for_new(tmp_path: Path) -> None:
    target = _folder(tmp_path / "out", "old.txt")
    _folder(tmp_path / "out.part", "half.txt")
    _folder(tmp_path / "out.old", "older.txt")
    with atomic_folder(target) as folder:
        (folder / "new.txt").touch()
    assert [p.name for p in target.iterdir()] == ["new.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_old_folder_comes_back_after_a_kill_between_the_two_moves(tmp_path: Path) -> None:
    _folder(tmp_path / "out.old", "old.txt")
    with pytest.raises(ValueError, match="again"), atomic_folder(tmp_path / "out"):
        raise ValueError("again")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["old.txt"]


def test_old_folder_comes_back_when_the_new_one_cannot_be_moved(tmp_path: Path) -> None:
    target = _folder(tmp_path / "out", "old.txt")
    with pytest.raises(FileNotFoundError), atomic_folder(target) as folder:
        folder.rmdir()
    assert [p.name for p in target.iterdir()] == ["old.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_keys_stand_in_the_order_of_the_fields(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    message = (Message(role="user", content="ñ"),)
    pair = Pair(
        rejected_from="translation:p:es-en",
        chosen_from="response:p:en",
        rule="own_dominant",
        other_lang="es",
        lang="en",
        prompt_id="p",
        rejected=message,
        chosen=message,
        prompt=message,
        id="p:en:es",
    )
    write_rows(path, [pair])
    assert path.read_text("utf-8") == (
        '{"id":"p:en:es","prompt":[{"role":"user","content":"ñ"}],"chosen":[{"role":"user","content":"ñ"}],'
        '"rejected":[{"role":"user","content":"ñ"}],"prompt_id":"p","lang":"en","other_lang":"es",'
        '"rule":"own_dominant","chosen_from":"response:p:en","rejected_from":"translation:p:es-en"}\n'
    )


def _prompt(id: str) -> Prompt:
    return Prompt(id=id, lang="en", text="t", source=Source(name="s", row=0), kind=PromptKind.TASK)


def _folder(path: Path, name: str) -> Path:
    path.mkdir()
    (path / name).touch()
    return path
