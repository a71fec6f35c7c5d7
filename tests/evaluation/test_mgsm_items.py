"""MGSM's files: three layouts of the same items, the error line of each fault, and the prompts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from factories import ROOT
from factories import prompt as a_prompt
from msgspec.structs import replace

from lidr import config
from lidr.errors import InputError
from lidr.evaluation.mgsm import Mgsm, stage
from lidr.evaluation.mgsm.golds import read_gold
from lidr.evaluation.mgsm.items import Solved, check_parallel, load_examples, load_items, render_prompt, stop_strings
from lidr.records import Prompt

ROWS = [("How many eggs?", "18"), ("What profit, “exactly”\u2028in dollars?", "2,125"), ("And what is left?", "3")]
ITEMS = [
    (f"mgsm-{index}", question, gold)
    for index, (question, gold) in enumerate([(ROWS[0][0], "18"), (ROWS[1][0], "2125"), (ROWS[2][0], "3")])
]


def problem(id: str, lang: str, question: str, gold: int | str) -> Prompt:
    return replace(a_prompt(id, lang, question), answer=str(gold))


def fields(problems: list[Prompt]) -> list[tuple[str, str, object]]:
    return [(item.id, item.text, item.answer) for item in problems]


def write(path: Path, *lines: str | bytes | Mapping[str, Any]) -> Path:
    encoded = [json.dumps(line, ensure_ascii=False) if isinstance(line, Mapping) else line for line in lines]
    path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in encoded))
    return path


def octopus(question: str, gold: object = "18") -> dict[str, object]:
    return {"query": question, "response": gold}


def hub(question: str, gold: object = 18) -> dict[str, object]:
    return {"question": question, "answer": None, "answer_number": gold, "equation_solution": None}


# --- the layouts -----------------------------------------------------------------------------------------------------


def test_the_three_layouts_give_the_same_items(tmp_path: Path) -> None:
    octopus_file = write(tmp_path / "octopus.jsonl", *(octopus(*row) for row in ROWS))
    hub_file = write(tmp_path / "hub.jsonl", *(hub(question, int(gold)) for _, question, gold in ITEMS))
    tsv_file = write(tmp_path / "hub.tsv", *("\t".join(row) for row in ROWS))
    for path in (octopus_file, hub_file, tsv_file):
        assert fields(load_items(path, "en")) == ITEMS


def test_windows_line_ends_and_a_missing_last_one_are_read(tmp_path: Path) -> None:
    path = tmp_path / "hub.tsv"
    path.write_bytes("\r\n".join("\t".join(row) for row in ROWS).encode())
    assert fields(load_items(path, "en")) == ITEMS


def test_rows_with_ids_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", octopus("a") | {"id": "lab-7"}, octopus("b") | {"id": 8})
    assert [item.id for item in load_items(path, "en")] == ["lab-7", "8"]


CASES = ROOT / "tests/cases/mgsm-rows"
BOX = ("A box?", 18, None)
NO_GOLD = "is no whole number, or may be one of two; such as '18' or '2,125' is expected"
# The rows, (question, gold, solution) each; or the error, without the file.
PUBLISHED: dict[tuple[str, str], list[tuple[str, int, str | None]] | str] = {
    ("afrimgsm.tsv", "sw"): [
        ("A box holds 6 pens. How many in 3?", 18, "Step-by-Step Answer: 3*6=18. The answer is 18."),
        ("Two boxes of 5?", 10, None),
    ],
    ("belebele_like.jsonl", "en"): ":1: no question: query, question, m_query is expected; there are instruction, "
    "final_answer, id",
    ("decimal_gold.jsonl", "en"): f":1: the gold answer '2.5' {NO_GOLD}",
    ("extra_col.jsonl", "en"): [BOX],
    ("extra_col_hub.jsonl", "en"): [BOX],
    ("fraction_gold.jsonl", "en"): f":1: the gold answer '1/2' {NO_GOLD}",
    ("gold_bn.jsonl", "bn"): [("বাক্স?", 18, None)],
    ("gold_dollar.jsonl", "en"): [BOX],
    ("gold_dot_de.jsonl", "de"): [("Eine Kiste?", 70_000, None)],
    ("gold_dot_en.jsonl", "en"): f":1: the gold answer '70.000' {NO_GOLD}",
    ("gold_space.jsonl", "en"): [("A box?", 70_000, None)],
    ("gsm8k_hf.jsonl", "en"): [BOX],
    ("msvamp.jsonl", "en"): [("A box?", 145, None)],
    ("tsv_blank_end.tsv", "en"): [BOX],
    ("tsv_bom.tsv", "en"): [BOX],
    ("tsv_header.tsv", "en"): [BOX],
    ("tsv_quotes.tsv", "en"): [('A "big" box holds 6 pens.', 18, None)],
    ("tsv_three.tsv", "en"): [BOX],
}


@pytest.mark.parametrize(("name", "lang"), PUBLISHED)
def test_published_file(name: str, lang: str) -> None:
    expected = PUBLISHED[name, lang]
    if isinstance(expected, str):
        with pytest.raises(InputError) as caught:
            load_items(CASES / name, lang)
        assert str(caught.value) == f"{CASES / name}{expected}"
    else:
        assert [
            (item.text, int(str(item.answer)), solution) for item, solution in load_examples(CASES / name, lang)
        ] == expected


@pytest.mark.parametrize(
    ("gold", "lang", "expected"),
    [
        ("2,125", "de", "2125"),  # MathOctopus writes gold answers in the same notation for all languages
        ("276,000", "de", "276000"),
        ("1.234.567", "de", "1234567"),
        ("1.234.567", "en", "1234567"),
        ("1.234,00", "de", "1234"),
        ("1,234.00", "en", "1234"),
        ("1.234,00", "en", None),
        ("18,0", "de", "18"),
        ("18,0", "en", None),
        ("18.0", "de", "18"),
        (" 18", "en", "18"),
        ("70\u202f000", "fr", "70000"),
        ("-70.000", "es", "-70000"),
        ("70.000", "sw", None),  # may be two numbers
        ("-1.000", "sw", None),
        ("18 €", "de", "18"),
        ("１８", "ja", "18"),
        ("1,5", "de", "1.5"),
        ("1.5", "de", "1.5"),  # in a program's notation
        ("1,5", "en", None),
        ("70.000,5", "de", "70000.5"),
        ("1 234,50", "en", "1234.50"),
        ("0.125", "en", "0.125"),
        ("0,125", "de", "0.125"),
        ("70.125", "en", None),
        ("1,0000", "en", None),
        ("1,14,200", "bn", "114200"),
        ("৭২", "bn", "72"),
        ("\u22125", "en", "-5"),
        ("$18", "en", "18"),
        ("9 * 8 = <<9*8=72>>72\n#### 72", "en", "72"),
        *((text, "en", None) for text in ("eighteen", "18 dollars", "1e3", "1/2", "")),
    ],
)
def test_gold_in_its_language(gold: str, lang: str, expected: str | None) -> None:
    assert read_gold(gold, lang) == (None if expected is None else Decimal(expected))


def test_a_number_of_json_has_a_decimal_point_in_every_language(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", hub("a", 70.000), hub("b", 18.0))
    assert [item.answer for item in load_items(path, "de")] == ["70", "18"]


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.jsonl", [octopus("a"), octopus("b"), octopus("a")], r":3: the same question as in row 1: 'a'"),
        ("a.jsonl", [octopus("a") | {"id": 1}, octopus("b") | {"id": "1"}], r":2: the same id as in row 1: '1'"),
        ("a.jsonl", [octopus("a"), octopus("b") | {"id": 1}], r":2: some rows have an id and some do not"),
        ("a.jsonl", [octopus("a"), octopus("  ")], r":2: the field 'query' holds '  '; a text is expected"),
        (
            "a.jsonl",
            [octopus("a"), {"query": "b"}],
            r":2: no gold answer: answer_number, response, answer is expected; there are query",
        ),
        ("a.jsonl", [octopus("a"), octopus("b", "")], r":2: the field 'response' holds ''; an answer is expected"),
        ("a.jsonl", [octopus("a"), octopus("b", True)], r":2: the field 'response' holds True; an answer is expected"),
        ("a.jsonl", [octopus("a"), octopus("b", "18.5")], r":2: the gold answer '18.5' is no whole number, or may be"),
        ("a.jsonl", [hub("a"), hub("b", 1.234)], r":2: the gold answer '1\.234' is no whole number, or may be one of"),
        ("a.tsv", ["a\t18", "b"], r":2: 1 fields; 'question<tab>answer' is expected"),
        ("a.tsv", ["question\tanswer", "b\t1\t2"], r":2: 3 fields; 2 as in the heading are expected"),
        ("a.tsv", ["problem\tresult", "a\t18"], r":1: the gold answer 'result' is no whole number"),
    ],
)
def test_faults_name_file_line_and_expectation(
    tmp_path: Path, name: str, lines: list[str | bytes | dict[str, object]], message: str
) -> None:
    with pytest.raises(InputError, match=name + message):
        load_items(write(tmp_path / name, *lines), "en")


def test_languages_that_are_not_parallel_are_refused() -> None:
    english = [problem(id, "en", question, gold) for id, question, gold in ITEMS]
    german = [replace(item, lang="de", text="?") for item in english]
    check_parallel({"en": english, "de": german})
    check_parallel({})
    with pytest.raises(InputError, match="en and de have 3 and 2 problems"):
        check_parallel({"en": english, "de": german[:2]})
    with pytest.raises(InputError, match="differ in their ids, first 'mgsm-0' and 'mgsm-1'"):
        check_parallel({"en": english, "de": [german[1], german[0], german[2]]})
    with pytest.raises(InputError, match="differ in the gold answer of mgsm-2: 3 and 4"):
        check_parallel({"en": english, "de": [*german[:2], problem("mgsm-2", "de", "?", 4)]})


# --- prompts ---------------------------------------------------------------------------------------------------------

GERMAN = problem("mgsm-0", "de", "Wie viele Eier?", 18)
SOLVED = Solved(
    problem("mgsm-9", "de", "Frage: Was ist 5 + 6?", 11),
    "Schritt-für-Schritt-Antwort: 5 + 6 = 11. Die Antwort lautet 11.",
)


def test_the_papers_prompts() -> None:
    assert render_prompt(GERMAN, "paper") == "Wie viele Eier?"
    instructed = render_prompt(GERMAN, "paper_instructed")
    assert "Wie viele Eier?" in instructed
    assert instructed.count("German") == 2
    assert stop_strings("de", "paper") == []


def test_prompts_with_the_reasoning_asked_for() -> None:
    assert render_prompt(GERMAN, "native_cot") == "Frage: Wie viele Eier?\nSchritt-für-Schritt-Antwort:"
    assert render_prompt(GERMAN, "en_cot") == "Frage: Wie viele Eier?\nStep-by-Step Answer:"
    assert stop_strings("de", "native_cot") == ["Frage:", "</s>", "<|im_end|>"]


def test_prompts_with_examples() -> None:
    assert render_prompt(GERMAN, "native_cot", [SOLVED]) == (
        "Frage: Was ist 5 + 6?\nSchritt-für-Schritt-Antwort: 5 + 6 = 11. Die Antwort lautet 11.\n\n"
        "Frage: Wie viele Eier?\nSchritt-für-Schritt-Antwort:"
    )
    unsolved = Solved(problem("mgsm-8", "de", "Und jetzt?", 7))
    assert render_prompt(GERMAN, "en_cot", [unsolved]).startswith("Frage: Und jetzt?\nStep-by-Step Answer: 7\n\n")


def test_a_language_without_words_of_its_own_is_asked_in_english() -> None:
    assert render_prompt(problem("mgsm-0", "ko", "몇 개?", 1), "native_cot") == "Question: 몇 개?\nStep-by-Step Answer:"


def test_examples_come_from_the_train_file(tmp_path: Path, project_settings: config.Settings) -> None:
    mgsm = replace(
        project_settings.block(Mgsm), source=str(tmp_path), languages=("en",), items=3, style="native_cot", examples=1
    )
    write(tmp_path / "en.jsonl", *(octopus(*row) for row in ROWS))
    write(tmp_path / "en_train.jsonl", octopus("And before?", "7"))
    asked = stage.prompts(replace(project_settings, mgsm=mgsm))
    assert asked[2].text.startswith("Question: And before?\nStep-by-Step Answer: 7\n\nQuestion: And what is left?")


# --- the published files ---------------------------------------------------------------------------------------------


def test_the_published_problems_are_parallel() -> None:
    folder = os.environ.get("LIDR_PAPER_DATA")
    if not folder:
        pytest.skip("LIDR_PAPER_DATA names no folder with MGSM's published problems")
    problems = {
        lang: load_items(Path(folder) / "mgsm" / f"mgsm_{lang}.jsonl", lang)
        for lang in ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
    }
    check_parallel(problems)
    assert {len(own) for own in problems.values()} == {250}
    golds = [int(str(item.answer)) for item in problems["en"]]
    assert (min(golds), max(golds)) == (1, 276_000)
    assert {2_125, 5_600, 114_200} < set(golds)
