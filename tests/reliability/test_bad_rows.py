"""Files of rows in every way wrong, through the commands that read them: each is refused with file, line and what was
expected, and what was there stays as it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import ROOT, edited, prompt, response, translation
from refusal import done, refused

from lidr import paths
from lidr.jsonl import write_json, write_rows
from lidr.policy import AdapterRecord, BaseRecord, fingerprint

SOURCE = Path("data/sources/own")
PROMPT = {"id": "b", "lang": "es", "text": "¿b?", "source": {"name": "t", "row": 1}, "kind": "task"}


def line(**changes: Any) -> bytes:
    """A prompt's line with values changed; None leaves the field out."""
    row = {key: value for key, value in (PROMPT | changes).items() if value is not None}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


GOOD = line(id="a")
# What stands in the second line, and what is said of it.
LINES: dict[str, tuple[bytes, str]] = {
    "cut off": (line()[:-20], "not one JSON object on a line: Input data was truncated"),
    "no JSON": (b"b\n", "not one JSON object on a line"),
    "two objects": (line()[:-1] + line(), "not one JSON object on a line"),
    "trailing comma": (line()[:-2] + b",}\n", "not one JSON object on a line"),
    "single quotes": (line().replace(b'"', b"'"), "not one JSON object on a line"),
    "comment": (b"// b\n", "not one JSON object on a line"),
    "NaN": (line().replace(b'"row": 1', b'"row": NaN'), "not one JSON object on a line"),
    "Infinity": (line().replace(b'"row": 1', b'"row": Infinity'), "not one JSON object on a line"),
    "deep": (b"[" * 100_000 + b"\n", "not "),
    "deep in a field": (b'{"id":' + b"[" * 100_000 + b"\n", "not "),
    "empty line": (b"\n", "an empty line; one JSON object a line is expected"),
    "blanks": (b" \t \n", "an empty line; one JSON object a line is expected"),
    "CRLF": (line()[:-1] + b"\r\n", "the line ends in \\r\\n; \\n alone is expected"),
    "bad UTF-8": (
        line(text="\udcff".encode("utf-8", "surrogateescape").decode("latin-1")).replace(b"\xc3\xbf", b"\xff"),
        "not UTF-8 at byte",
    ),
    "half a surrogate pair": (line().replace("¿b?".encode(), b"\\ud800"), "not one JSON object on a line"),
    "raw control character": (line().replace("¿b?".encode(), b"\x01"), "not one JSON object on a line"),
    "list": (b"[]\n", "not a prompt record: Expected `object`, got `array`"),
    "text": (b'"b"\n', "not a prompt record: Expected `object`, got `str`"),
    "null": (b"null\n", "not a prompt record: Expected `object`, got `null`"),
    "unknown field": (line(answers="1"), "not a prompt record: Object contains unknown field `answers`"),
    "unknown field inside": (
        line(source={"name": "t", "row": 1, "x": 1}),
        "Object contains unknown field `x` - at `$.source`",
    ),
    "number as text": (line(source={"name": "t", "row": "1"}), "Expected `int`, got `str` - at `$.source.row`"),
    "fraction": (line(source={"name": "t", "row": 1.5}), "Expected `int`, got `float` - at `$.source.row`"),
    "huge number": (line().replace(b'"row": 1', b'"row": 1' + b"0" * 5_000), "not "),
    "unknown kind": (line(kind="riddle"), "Invalid enum value 'riddle' - at `$.kind`"),
    "id twice": (line(id="a"), "a second row with the id 'a'; ids are expected once each"),
    "key twice": (line()[:-2] + b', "id": "c"}\n', "the key 'id' stands twice in an object; once is expected"),
    "key twice, escaped": (
        line()[:-2] + b', "\\u0069d": "c"}\n',
        "the key 'id' stands twice in an object; once is expected",
    ),
    "key twice inside": (line().replace(b'"row": 1', b'"row": 1, "row": 2'), "the key 'row' stands twice in an object"),
    "another language": (line(lang="de"), "a prompt in 'de'; 'es' is expected in this file"),
    "language as a path": (line(lang="../es"), "a prompt in '../es'; 'es' is expected in this file"),
    "no text": (line(text=" \n"), "the prompt 'b' has no text"),
    "50 MB of one line": (line(text="x" * 50_000_000)[:-3] + b"\n", "not one JSON object on a line"),
    "50 MB of an id": (line(id="x" * 50_000_000) + line(id="x" * 50_000_000), "a second row with the id 'xxx"),
    **{f"no {key}": (line(**{key: None}), f"Object missing required field `{key}`") for key in PROMPT},
    **{
        f"{key} is null": (
            line().replace(json.dumps(PROMPT[key], ensure_ascii=False).encode(), b"null", 1),
            "not a prompt record: Expected ",
        )
        for key in PROMPT
    },
    **{f"{key} is a list": (line(**{key: []}), "not a prompt record: Expected ") for key in PROMPT},
}


@pytest.fixture
def own_source(root: Path) -> Path:
    """A project whose prompts come from a folder, and were taken from it once."""
    change = ("prompts:\n  source: lab", f"prompts:\n  source: {SOURCE}"), ("  per_iteration:", "  per_iteration: 2")
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
    "UTF-16": (GOOD.decode().encode("utf-16"), ":1: not "),
    "gzip": (b"\x1f\x8b\x08\0\0\0", ":1: not "),
    "pickle": (b"\x80\x04\x95\x0b\0", ":1: not "),
    "no row of this iteration": (line(source={"name": "t", "row": 7}), ": no row from 0 to 1; the file has 1 prompts"),
}


@pytest.mark.parametrize(("content", "expected"), WHOLE.values(), ids=WHOLE.keys())
def test_bad_file_of_prompts(own_source: Path, content: bytes | None, expected: str) -> None:
    own_source.unlink() if content is None else own_source.write_bytes(content)
    assert refused("prompts", "m1").startswith(f"{own_source}{expected}")


def test_folder_where_a_file_of_prompts_is_expected(own_source: Path) -> None:
    own_source.unlink()
    own_source.mkdir()
    assert refused("prompts", "m1") == f"{own_source}: a folder stands where a file is expected"


# --- what stages leave to each other ---------------------------------------------------------------------------------


@pytest.fixture
def iteration(own_source: Path) -> None:
    """Prompts, answers and translations of m1, and the pairs made of them."""
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
    "cut off in the middle": (lambda content: content[: len(content) // 2 + 9], ":2: not "),
    "last row twice": (
        lambda content: content + content.splitlines(keepends=True)[-1],
        ":3: a second row with the id 'b'",
    ),
    "BOM": (lambda content: b"\xef\xbb\xbf" + content, ":1: a byte order mark"),
    "CRLF": (lambda content: content.replace(b"\n", b"\r\n"), ":1: the line ends in \\r\\n"),
    "bad UTF-8": (
        lambda content: content.replace(b'"lang":"e', b'"lang":"\xff').replace(b'_lang":"e', b'_lang":"\xff'),
        ":1: not UTF-8",
    ),
    "another record": (lambda content: b'{"a":1}\n', ":1: not a "),
    "key twice": (
        lambda content: content.replace(b'{"id":"a"', b'{"id":"a","id":"a"'),
        ":1: the key 'id' stands twice",
    ),
    "no new line but one": (lambda content: content.replace(b"}\n{", b"} {"), ":1: not one JSON object on a line"),
}


@pytest.mark.usefixtures("iteration")
@pytest.mark.parametrize(("damage", "expected"), DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("path", INPUTS, ids=str)
def test_bad_input_of_pairs(path: Path, damage: Callable[[bytes], bytes], expected: str) -> None:
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


# --- benchmarks ------------------------------------------------------------------------------------------------------

MGSM = Path("data/sources/mgsm")


@pytest.fixture
def own_mgsm(root: Path) -> Path:
    lines = (
        "mgsm:\n  source: {}\n  languages: {}   # it and pt are never trained on: they measure transfer\n  items: {}"
    )
    old = lines.format("lab", "[en, es, de, fr, ru, it, pt]", 250)
    new = f"mgsm:\n  source: {MGSM}\n  languages: [en, es]\n  items: 2"
    (root / "params.yaml").write_text(edited((old, new)), "utf-8")
    for lang in ("en", "es"):
        rows = [{"query": f"{n} {lang}?", "response": str(n)} for n in (1, 2)]
        problems(lang, *map(json.dumps, rows))
    return MGSM / "mgsm_es.jsonl"


def problems(lang: str, *lines: str) -> None:
    MGSM.mkdir(parents=True, exist_ok=True)
    (MGSM / f"mgsm_{lang}.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")


ONE = '{"query": "uno?", "response": "1"}'
PROBLEMS: dict[str, tuple[tuple[str, ...], str]] = {
    "a gold that is no number": (
        (ONE, '{"query": "dos?", "response": "two"}'),
        ":2: the gold answer 'two' is no whole number",
    ),
    "a gold that is a fraction": (
        (ONE, '{"query": "dos?", "response": "2.5"}'),
        ":2: the gold answer '2.5' is no whole number",
    ),
    "no gold": (
        (ONE, '{"query": "dos?"}'),
        ":2: not a mathoctopusrow record: Object missing required field `response`",
    ),
    "a question twice": ((ONE, ONE), ":2: the same question as in line 1: 'uno?'"),
    "an id twice": (
        ('{"id": 1, "query": "uno?", "response": "1"}', '{"id": 1, "query": "dos?", "response": "2"}'),
        ":2: the same id as in line 1",
    ),
    "an id in some rows": (
        (ONE, '{"id": 1, "query": "dos?", "response": "2"}'),
        ":2: some rows have an id and some do not",
    ),
    "an empty question": ((ONE, '{"query": " ", "response": "2"}'), ":2: an empty question"),
    "a key twice": ((ONE, '{"query": "dos?", "query": "tres?", "response": "2"}'), ":2: the key 'query' stands twice"),
    "too few": ((ONE,), ": 1 problems; mgsm.items asks for 2"),
    "none": ((), ": the file is empty"),
}


@pytest.mark.parametrize(("lines", "expected"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_bad_problems(own_mgsm: Path, lines: tuple[str, ...], expected: str) -> None:
    problems("es", *lines)
    assert refused("mgsm", "m0").startswith(f"{own_mgsm}{expected}")


def test_a_language_without_problems(own_mgsm: Path) -> None:
    own_mgsm.unlink()
    assert str(MGSM) in refused("mgsm", "m0") and not own_mgsm.exists()


def test_problems_whose_golds_differ(own_mgsm: Path) -> None:
    problems("es", ONE, '{"query": "dos?", "response": "3"}')
    assert refused("mgsm", "m0") == "en and es differ in the gold answer of mgsm-1: 2 and 3"


# --- published outputs -----------------------------------------------------------------------------------------------

OUTPUTS = Path("o/es/gpt-4/model_outputs.json")
Rows = list[dict[str, Any]]


@pytest.fixture
def published(root: Path) -> Path:
    """A project whose baseline is published outputs, read once."""
    change = (
        ("baseline:\n  model: m0  ", "baseline:\n  model: gpt-4  "),
        ("  source: models/m0 ", "  source: o "),
        (
            "alpaca:\n  source: lab\n  languages: [en, es, de, fr, ru, it, pt]\n  items: 250",
            "alpaca:\n  source: p\n  languages: [es]\n  items: 3",
        ),
        ("    name: lab  ", "    name: local  "),
        ("    model: null  ", "    model: models/judge  "),
    )
    (root / "params.yaml").write_text(edited(*change), "utf-8")
    write_json(Path("p/es.json"), [{"id": n, "dataset": "d", "instruction": f"haz {n}"} for n in (1, 2, 3)])
    write_json(OUTPUTS, output_rows())
    done("baseline")
    return OUTPUTS


def output_rows() -> Rows:
    return [
        {"generator": "gpt-4", "dataset": "d", "instruction": f"haz {n}", "output": f"hecho {n}"} for n in (1, 2, 3)
    ]


CHANGES: dict[str, tuple[Callable[[Rows], object], str]] = {
    "none": (lambda rows: [], ": the list is empty"),
    "no list": (lambda rows: {"rows": rows}, ": not a JSON list of "),
    "one too few": (lambda rows: rows[:2], ": no output for the instruction of row 3 of p/es.json: 'haz 3'"),
    "one of another generator": (
        lambda rows: [*rows[:2], rows[2] | {"generator": "x"}],
        ": row 3: an output of 'x'; outputs of 'gpt-4'",
    ),
    "an instruction twice": (lambda rows: [*rows, rows[0]], ": row 4: the same instruction as in row 1"),
    "an empty instruction": (lambda rows: [*rows, rows[0] | {"instruction": " "}], ": row 4: an empty instruction"),
    "no output": (
        lambda rows: [{k: v for k, v in rows[0].items() if k != "output"}, *rows[1:]],
        ": row 1: not as expected",
    ),
    "null for an output": (lambda rows: [rows[0] | {"output": None}, *rows[1:]], ": row 1: not as expected"),
    "a text for a row": (lambda rows: [*rows, "x"], ": row 4: not as expected"),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_bad_outputs(published: Path, change: Callable[[Rows], object], expected: str) -> None:
    write_json(published, change(output_rows()))
    assert refused("baseline").startswith(f"{published}{expected}")


RAW: dict[str, tuple[bytes, str]] = {
    "cut off": (b'[{"generator": "gpt-4"', ": not a JSON list of "),
    "empty": (b"", ": not a JSON list of "),
    "bad UTF-8": (b'[{"instruction": "\xff", "generator": "gpt-4", "output": "x"}]', ": "),
    "BOM": (b"\xef\xbb\xbf[]", ": not a JSON list of "),
    "deep": (b"[" * 200_000, ": "),
    "key twice": (
        b'[{"instruction": "haz 1", "generator": "gpt-4", "output": "x", "output": "y"}]',
        ": row 1: the key 'output' stands twice",
    ),
}


@pytest.mark.parametrize(("content", "expected"), RAW.values(), ids=RAW.keys())
def test_outputs_that_are_no_list(published: Path, content: bytes, expected: str) -> None:
    published.write_bytes(content)
    assert refused("baseline").startswith(f"{published}{expected}")


def test_an_empty_baseline(published: Path) -> None:
    answers = paths.baseline() / paths.ANSWERS
    answers.write_bytes(b"")
    write_json(Path("o/es/gpt-3/model_outputs.json"), [row | {"generator": "gpt-3"} for row in output_rows()])
    assert refused("alpaca", "gpt-3", "--outputs", "o").startswith(f"{answers}: the file is empty")


def test_a_baseline_that_lacks_an_answer(published: Path) -> None:
    answers = paths.baseline() / paths.ANSWERS
    write_rows(answers, [response("alpaca-1", "es"), response("alpaca-2", "es")])
    write_json(Path("o/es/gpt-3/model_outputs.json"), [row | {"generator": "gpt-3"} for row in output_rows()])
    assert (
        refused("alpaca", "gpt-3", "--outputs", "o")
        == f"{answers}: no answer to 'alpaca-3' in 'es'; run `lidr baseline`"
    )


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "", ".", "..", "x\0", "x\ny", "-x", ".x"])
def test_names_of_generators_that_would_be_paths(name: str) -> None:
    assert "cannot be the name of a folder" in refused("alpaca", "--outputs", "o", "--", name)


@pytest.mark.usefixtures("published")
def test_a_judge_that_is_not_there() -> None:
    write_json(
        Path("o/es/gpt-3/model_outputs.json"), [row | {"generator": "gpt-3", "output": "x"} for row in output_rows()]
    )
    said = refused("alpaca", "gpt-3", "--outputs", "o")
    assert said.startswith("models/judge: no model here (no config.json)")


# --- models ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def base(root: Path) -> Path:
    """models/m0 as `lidr base` writes it, and the record of an adapter that was trained on something else."""
    folder = paths.model("m0")
    shutil.copytree(ROOT / "src/lidr/lab/base", folder)
    record = BaseRecord(source="lab", revision=None, trust_remote_code=False, fingerprint=fingerprint(folder))
    write_json(folder / paths.RECORD, record)
    adapter = AdapterRecord(model="m1", previous="m0", base="0" * 64, reference="0" * 64, pairs="0" * 64, rows=1)
    write_json(paths.model("m1") / paths.RECORD, adapter)
    return folder


def test_an_adapter_of_another_base(base: Path) -> None:
    said = refused("mgsm", "m1")
    assert said.startswith("models/m1/lidr.json: this adapter was trained on the base 000000000000, but models/m0 is ")


RECORDS = {
    "missing": (None, ": no such file"),
    "empty": (b"", ": not the JSON that is expected"),
    "no object": (b"[]", ": not the JSON that is expected"),
    "unknown field": (
        b'{"source":"lab","revision":null,"trust_remote_code":false,"fingerprint":"0","x":1}',
        ": not the JSON that is expected",
    ),
    "key twice": (
        b'{"source":"lab","source":"x","revision":null,"trust_remote_code":false,"fingerprint":"0"}',
        ": the key 'source' stands twice",
    ),
    "text for a flag": (
        b'{"source":"lab","revision":null,"trust_remote_code":"no","fingerprint":"0"}',
        ": not the JSON that is expected",
    ),
}


@pytest.mark.parametrize(("content", "expected"), RECORDS.values(), ids=RECORDS.keys())
def test_bad_record_of_the_base(base: Path, content: bytes | None, expected: str) -> None:
    path = base / paths.RECORD
    path.unlink() if content is None else path.write_bytes(content)
    assert refused("mgsm", "m0").startswith(f"{path}{expected}")


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


WEIGHTS: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "one bit": flipped,
    "header of a gigabyte": lambda content: (2**30).to_bytes(8, "little") + content[8:],
    "longer": lambda content: content + b"x",
    "a pickle": lambda content: b"\x80\x04\x95" + content,
}


@pytest.mark.pipeline
@pytest.mark.parametrize("damage", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_weights_that_are_not_what_the_record_says(base: Path, damage: Callable[[bytes], bytes]) -> None:
    path = base / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert refused("mgsm", "m0").startswith("models/m0: the files are not those that `lidr base` recorded")
