"""Invalid files of rows through the commands that read them: each is refused with file, line and what was expected, and
existing outputs stay unchanged.
"""

from __future__ import annotations

import json
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
    "deep in a field": (b'{"id":' + b"[" * 100_000 + b"\n", "Expected `str`, got `array` - at `$.id`"),
    "huge number": (
        line().replace(b'"row": 1', b'"row": 1' + b"0" * 5_000),
        "Integer value out of range - at `$.source.row`",
    ),
    "key twice inside": (line().replace(b'"row": 1', b'"row": 1, "row": 2'), "the key 'row' stands twice in an object"),
    "another language": (line(lang="de"), "a prompt in 'de'; 'es' is expected in this file"),
    "no text": (line(text=" \n"), "the prompt 'b' has no text"),
    "5 MB of one line": (line(text="x" * 5_000_000)[:-3] + b"\n", "not one JSON object on a line"),
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
    assert said.startswith(f"{own_source}:2: ") and expected in said


WHOLE: dict[str, tuple[bytes | None, str]] = {
    "missing": (
        None,
        ": no prompts in 'es'; es.jsonl is expected, or with another ending of .jsonl, .json, .tsv, .csv, .parquet",
    ),
    "gzip": (b"\x1f\x8b\x08\0\0\0", ":1: not one JSON object on a line: "),
    "no row of this iteration": (
        line(source={"name": "t", "row": 7}),
        ": no row from 0 to 1; the source has 1 prompts in 'es'",
    ),
}


@pytest.mark.parametrize(("content", "expected"), WHOLE.values(), ids=WHOLE.keys())
def test_bad_file_of_prompts(own_source: Path, content: bytes | None, expected: str) -> None:
    own_source.unlink() if content is None else own_source.write_bytes(content)
    # A file or row that is not there is missing in the source, not in one of its files.
    place = own_source.parent if expected.startswith((": no row", ": no prompts")) else own_source
    assert refused("prompts", "m1").startswith(f"{place}{expected}")


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


@pytest.mark.usefixtures("iteration")
@pytest.mark.parametrize("path", INPUTS, ids=str)
def test_bad_input_of_pairs(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 9])
    assert refused("pairs", "m1").startswith(f"{path}:2: not one JSON object on a line: Input data was truncated")
    path.write_bytes(content + content.splitlines(keepends=True)[-1])
    assert refused("pairs", "m1").startswith(f"{path}:3: a second row with the id 'b'")


@pytest.mark.usefixtures("iteration")
def test_vanished_input_of_pairs_and_success_once_it_is_back() -> None:
    path = INPUTS[-1]
    kept = path.read_bytes()
    path.unlink()
    assert refused("pairs", "m1") == f"{path}: no such file; run the stage that makes it, or `dvc repro`"
    path.write_bytes(kept)
    assert done("pairs", "m1").startswith("pairs m1: ")
