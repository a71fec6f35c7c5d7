"""The facts table: a row per pair and drop, its values, readers, and reproducible bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
from audit_project import Made, in_lab, settings, two_sided
from factories import ROOT
from processes import children
from pyarrow import parquet

from lidr import config, paths
from lidr.audit import facts
from lidr.audit import stage as audit
from lidr.audit.report import Report
from lidr.errors import InputError
from lidr.records import FinishReason, Prompt, PromptKind
from lidr.records.jsonl import read_rows

EN, ES = "The answer to the question is {}.", "La respuesta a la pregunta es {}."
PROMPTS = 30


def by_hand() -> Made:
    """A pair whose chosen answer is right and whose rejected one is in another language, a drop, and a request."""
    made = Made()
    made.prompt("p0", {"en": "How much is it?", "es": "¿Cuánto es eso?"}, gold="59")
    two_sided(made, "p0", (EN.format(59), EN.format(58)), (ES.format(59) + "</sentence>", EN.format(57)))
    made.prompt("p1", {"en": "And the other one?", "es": "¿Y el otro?"})
    made.answer("p1", "en", EN.format(1)[:9], FinishReason.LENGTH)
    made.answer("p1", "es", ES.format(2))
    made.translate("p1", "es", "en", EN.format(3))
    made.prompt("p2", {"en": "Translate: blue", "es": "Traduce: azul"}, kind=PromptKind.TRANSLATION)
    made.answer("p2", "en", "azul")
    made.answer("p2", "es", "blue")
    return made


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """The table's rows by id, read from the file; its project is the working folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("facts"))
        by_hand().write(settings())
        audit.run(settings(), "m1")
        yield {row["id"]: row for row in parquet.read_table(paths.facts("m1")).to_pylist()}


def test_there_is_a_row_for_each_prompt_and_direction_in_their_order(rows: dict[str, dict[str, Any]]) -> None:
    assert list(rows) == ["p0:es:en", "p0:en:es", "p1:es:en", "p1:en:es", "p2:es:en", "p2:en:es"]
    assert [row["outcome"] for row in rows.values()] == ["pair", "pair", "drop", "drop", "pair", "pair"]


def test_a_pair_has_all_that_was_found(rows: dict[str, dict[str, Any]]) -> None:
    pair = rows["p0:es:en"]
    expected = {
        "prompt_id": "p0", "lang": "es", "other_lang": "en", "rule": "translated_dominant", "reason": None,
        "source": "made", "source_row": 0, "kind": "task", "gold": "59", "prompt_characters": 15,
        "answer_finish_reason": "stop", "answer_characters": 33, "answer_tokens": 7, "answer_empty": False,
        "dominant_characters": 33,
        "translation_finish_reason": "stop", "translation_parsed": True, "translation_numbers_kept": True,
        "translation_answer_kept": True, "translation_exact": None, "round_trip_parsed": None,
        "chosen_from": "translation:p0:en-es", "chosen_characters": 44, "chosen_words": 8, "chosen_tokens": None,
        "chosen_lang": "es", "chosen_off_target": False, "chosen_right": True, "chosen_markers": ["</sentence>"],
        "chosen_sentences": 1, "chosen_other_sentences": 0, "rejected_sentences": 1, "rejected_other_sentences": 1,
        "rejected_from": "response:p0:es", "rejected_tokens": 7, "rejected_lang": "en", "rejected_off_target": True,
        "rejected_right": False, "rejected_markers": [], "near_identical": False, "gold_outcome": "chosen_only",
        "notes": ["chosen: markers", "rejected: off target (en)"],
    }  # fmt: skip
    assert {name: pair[name] for name in expected} == expected


def test_a_drop_names_the_rows_that_it_would_have_been_made_of(rows: dict[str, dict[str, Any]]) -> None:
    drop = rows["p1:es:en"]
    expected = {
        "rule": None, "stage": "pairs", "reason": "truncated",
        "detail": "chosen: the answer in en was cut off at the token limit",
        "chosen_from": "translation:p1:en-es", "rejected_from": "response:p1:es", "translation_parsed": None,
        "answer_finish_reason": "stop", "chosen_characters": None, "chosen_lang": None, "gold_outcome": None,
    }  # fmt: skip
    assert {name: drop[name] for name in expected} == expected
    assert rows["p1:en:es"]["answer_finish_reason"] == "length"


def test_a_translation_request_is_made_of_answers(rows: dict[str, dict[str, Any]]) -> None:
    for name in ("p2:es:en", "p2:en:es"):
        assert (rows[name]["chosen_from"], rows[name]["rejected_from"]) == ("response:p2:en", "response:p2:es")
        assert (rows[name]["kind"], rows[name]["gold_outcome"]) == ("translation", "unjudged")


def test_an_overlap_is_named_in_its_row(folder: Path) -> None:
    by_hand().write(settings())
    items = list(read_rows(paths.prompt_file("m1", "en"), Prompt))[:1]
    found = audit.measure(settings(), "m1", None, {"tests": items}).facts.to_pylist()
    assert [(row["prompt_overlap"], row["prompt_overlap_item"]) for row in found[:2]] == [
        (0.0, None),
        (1.0, "tests:p0:en"),
    ]


def test_pandas_and_datasets_read_it(rows: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    names = [column.name for column in facts.COLUMNS]
    table = pandas.read_parquet(paths.facts("m1"))
    assert list(table.columns) == names
    assert table.query("outcome == 'pair'").groupby("lang").size().to_dict() == {"en": 2, "es": 2}
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    loaded = datasets.Dataset.from_parquet(str(paths.facts("m1")), cache_dir="cache")
    assert (loaded.column_names, loaded.num_rows) == (names, 6)


def test_the_document_describes_each_column() -> None:
    document = (ROOT / "docs" / "audit.md").read_text("utf-8")
    missing = [
        line for line in (f"| `{c.name}` | {c.kind} | {c.meaning} |" for c in facts.COLUMNS) if line not in document
    ]
    assert not missing, "docs/audit.md lacks:\n" + "\n".join(missing)


# ---- any number of workers, any size of a chunk


@pytest.fixture
def lab(folder: Path) -> config.Settings:
    """Thirty lab prompts in three languages."""
    chosen = settings(("es", "de"))
    in_lab(chosen, PROMPTS).write(chosen)
    return chosen


def measured(chosen: config.Settings, patch: pytest.MonkeyPatch, chunk: int, processes: int) -> Report:
    patch.setattr(audit, "CHUNK", chunk)
    patch.setattr(audit, "WORTH_A_POOL", 1)
    patch.setattr(audit, "forkable_cores", lambda: processes)
    items = list(read_rows(paths.prompt_file("m1", "es"), Prompt))[::7]
    report = audit.measure(chosen, "m1", None, {"tests": items})
    audit.write(report, paths.audit("m1"))
    return report


def test_all_files_are_the_same_however_they_are_made(lab: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def written() -> dict[str, bytes]:
        files = [paths.facts("m1"), *paths.audit("m1").iterdir()]
        return {path.name: path.read_bytes() for path in files if path.suffix != ".svg"}

    whole = measured(lab, monkeypatch, PROMPTS, 1)
    assert whole.figures["counts"]["prompts"] == PROMPTS and whole.overlaps and whole.pairs and whole.drops
    expected = written()
    measured(lab, monkeypatch, chunk=7, processes=3)
    assert written() == expected


def test_a_row_without_a_prompt_is_an_error_and_leaves_no_worker(
    lab: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = paths.response_file("m1", "es")
    answers.write_bytes(answers.read_bytes().replace(b'"lab-20"', b'"lost-20"'))
    before = children()
    with pytest.raises(InputError, match=r"lost-20|lab-2[01]"):
        measured(lab, monkeypatch, 4, 2)
    assert children() <= before
