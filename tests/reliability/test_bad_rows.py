"""Invalid files of rows through the commands that read them: each is refused with file, line and what was expected, and
existing outputs stay unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import edited, own_prompts, prompt, response, translation
from refusal import done, refused

from lidr import paths
from lidr.records.jsonl import write_rows

SOURCE = Path("data/sources/own")
PROMPT = {"id": "b", "lang": "es", "text": "¿b?", "source": {"name": "t", "row": 1}, "kind": "task"}


def line(**changes: Any) -> bytes:
    """A prompt's line with changed values; None omits the field."""
    row = {key: value for key, value in (PROMPT | changes).items() if value is not None}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


GOOD = line(id="a")
# The second line, and its error; test_jsonl.py has all errors of a single line.
LINES: dict[str, tuple[bytes, str]] = {
    "trailing comma": (line()[:-2] + b",}\n", "not one JSON object on a line"),
    "comment": (b"// b\n", "not one JSON object on a line"),
    "Infinity": (line().replace(b'"row": 1', b'"row": Infinity'), "not one JSON object on a line"),
    "deep": (b"[" * 100_000 + b"\n", "not a prompt record: Expected `object`, got `array`"),
    "deep in a field": (b'{"id":' + b"[" * 100_000 + b"\n", "Expected `str`, got `array` - at `$.id`"),
    "text": (b'"b"\n', "not a prompt record: Expected `object`, got `str`"),
    "unknown field inside": (
        line(source={"name": "t", "row": 1, "x": 1}),
        "Object contains unknown field `x` - at `$.source`",
    ),
    "huge number": (
        line().replace(b'"row": 1', b'"row": 1' + b"0" * 5_000),
        "Integer value out of range - at `$.source.row`",
    ),
    "key twice": (line()[:-2] + b', "id": "c"}\n', "the key 'id' stands twice in an object; once is expected"),
    "key twice, escaped": (
        line()[:-2] + b', "\\u0069d": "c"}\n',
        "the key 'id' stands twice in an object; once is expected",
    ),
    "key twice inside": (line().replace(b'"row": 1', b'"row": 1, "row": 2'), "the key 'row' stands twice in an object"),
    "another language": (line(lang="de"), "a prompt in 'de'; 'es' is expected in this file"),
    "language as a path": (line(lang="../es"), "a prompt in '../es'; 'es' is expected in this file"),
    "no text": (line(text=" \n"), "the prompt 'b' has no text"),
    "5 MB of one line": (line(text="x" * 5_000_000)[:-3] + b"\n", "not one JSON object on a line"),
    "5 MB of an id": (line(id="x" * 5_000_000) + line(id="x" * 5_000_000), "a second row with the id 'xxx"),
    "no source": (line(source=None), "Object missing required field `source`"),
    "text is null": (line().replace('"¿b?"'.encode(), b"null"), "Expected `str`, got `null` - at `$.text`"),
    "kind is a list": (line(kind=[]), "Expected `str`, got `array` - at `$.kind`"),
}


@pytest.fixture
def own_source(root: Path) -> Path:
    """A project whose prompts come from a folder, with one successful run of the stage."""
    change = (own_prompts(SOURCE), ("  per_iteration:", "  per_iteration: 2"))
    (root / "params.yaml").write_text(edited(("languages: [es, de, fr, ru]", "languages: [es]"), *change), "utf-8")
    write_rows(SOURCE / "en.jsonl", [prompt("a", "en"), prompt("b", "en")])
    write_rows(SOURCE / "es.jsonl", [prompt("a", "es"), prompt("b", "es")])
    done("prompts", "m1")
    return SOURCE / "es.jsonl"


@pytest.mark.parametrize(("second", "expected"), LINES.values(), ids=LINES.keys())
def test_bad_line_of_prompts(own_source: Path, second: bytes, expected: str) -> None:
    own_source.write_bytes(GOOD + second)
    said = refused("prompts", "m1")
    number = 3 if expected.startswith("a second row with the id 'xxx") else 2
    assert said.startswith(f"{own_source}:{number}: ") and expected in said


WHOLE: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, ": no prompts in 'es'; one JSONL file for each language is expected"),
    "empty": (b"", ": the file is empty; one JSON object a line is expected"),
    "BOM": (b"\xef\xbb\xbf" + GOOD, ":1: a byte order mark; UTF-8 without one is expected"),
    "UTF-16": (GOOD.decode().encode("utf-16"), ":1: not one JSON object on a line: "),
    "gzip": (b"\x1f\x8b\x08\0\0\0", ":1: not one JSON object on a line: "),
    "pickle": (b"\x80\x04\x95\x0b\0", ":1: not one JSON object on a line: "),
    "no row of this iteration": (
        line(source={"name": "t", "row": 7}),
        ": no row from 0 to 1; the source has 1 prompts in 'es'",
    ),
}


@pytest.mark.parametrize(("content", "expected"), WHOLE.values(), ids=WHOLE.keys())
def test_bad_file_of_prompts(own_source: Path, content: bytes | None, expected: str) -> None:
    own_source.unlink() if content is None else own_source.write_bytes(content)
    # A row that no file has is missing in the source, not in one of its files.
    place = own_source.parent if expected.startswith(": no row") else own_source
    assert refused("prompts", "m1").startswith(f"{place}{expected}")


def test_folder_where_a_file_of_prompts_is_expected(own_source: Path) -> None:
    own_source.unlink()
    own_source.mkdir()
    assert refused("prompts", "m1") == f"{own_source}: a folder stands where a file is expected"


# --- what stages leave to each other ---------------------------------------------------------------------------------


@pytest.fixture
def iteration(own_source: Path) -> None:
    """Prompts, answers, translations and pairs of m1."""
    for lang in ("en", "es"):
        write_rows(paths.response_file("m1", lang), [response("a", lang), response("b", lang)])
    for source, target in (("en", "es"), ("es", "en")):
        rows = [translation("a", source, target), translation("b", source, target)]
        write_rows(paths.translation_file("m1", source, target), rows)
    done("pairs", "m1")


INPUTS = [
    paths.prompt_file("m1", "es"),
    paths.response_file("m1", "en"),
    paths.response_file("m1", "es"),
    paths.translation_file("m1", "en", "es"),
]
DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut off in the middle": (
        lambda content: content[: len(content) // 2 + 9],
        ":2: not one JSON object on a line: Input data was truncated",
    ),
    "last row twice": (
        lambda content: content + content.splitlines(keepends=True)[-1],
        ":3: a second row with the id 'b'",
    ),
    "BOM": (lambda content: b"\xef\xbb\xbf" + content, ":1: a byte order mark"),
    "CRLF": (lambda content: content.replace(b"\n", b"\r\n"), ":1: the line ends in \\r\\n"),
    "bad UTF-8": (lambda content: content.replace(b'"lang":"e', b'"lang":"\xff'), ":1: not UTF-8 at byte "),
    "another record": (lambda content: b'{"a":1}\n', ":1: not a prompt record: Object contains unknown field `a`"),
    "key twice": (
        lambda content: content.replace(b'{"id":"a"', b'{"id":"a","id":"a"'),
        ":1: the key 'id' stands twice",
    ),
    "no new line but one": (lambda content: content.replace(b"}\n{", b"} {"), ":1: not one JSON object on a line"),
}


@pytest.mark.usefixtures("iteration")
@pytest.mark.parametrize(
    ("path", "name"),
    [*((INPUTS[0], name) for name in DAMAGES), *((path, "last row twice") for path in INPUTS[1:])],
)
def test_bad_input_of_pairs(path: Path, name: str) -> None:
    damage, expected = DAMAGES[name]
    path.write_bytes(damage(path.read_bytes()))
    assert refused("pairs", "m1").startswith(f"{path}{expected}")


@pytest.mark.usefixtures("iteration")
@pytest.mark.parametrize("path", INPUTS, ids=str)
def test_vanished_input_of_pairs_and_success_once_it_is_back(path: Path) -> None:
    kept = path.read_bytes()
    path.unlink()
    assert refused("pairs", "m1") == f"{path}: no such file; run the stage that makes it, or `dvc repro`"
    path.write_bytes(kept)
    assert done("pairs", "m1").startswith("pairs m1: ")
