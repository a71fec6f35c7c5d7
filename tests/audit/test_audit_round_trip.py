"""Round-trip translation, and whether translations keep an answer's result."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from audit_project import Made, settings, two_sided

from lidr.audit import stage as audit
from lidr.audit.fidelity import chrf
from lidr.errors import InputError
from lidr.records import FinishReason, Translation


def back(prompt_id: str, source: str, target: str, text: str | None) -> Translation:
    return Translation(
        id=prompt_id, source_lang=source, target_lang=target, text=text, finish_reason=FinishReason.STOP, raw=text or ""
    )


@pytest.fixture
def made(folder: Path) -> Made:
    made = Made()
    for name, gold in (("p0", "59"), ("p1", "59"), ("p2", None), ("p3", "a word")):
        made.prompt(name, {"en": f"What is {name}?", "es": f"¿Qué es {name}?"}, gold=gold)
    two_sided(made, "p0", ("5 and 54 are 59.", "Son 57."), ("Son 5, 54 y 59.", "That is 57."))
    two_sided(made, "p1", ("5 and 54 are 59.", "Son 58."), ("54 son 59 y 5.", "That is 57."))
    two_sided(made, "p2", ("It is 1.", "Es 2."), ("Es 1.", "It is 3."))
    two_sided(made, "p3", ("It is a word.", "Es una palabra."), ("Es una voz.", "It is one word."))
    return made


def test_chrf_is_sacrebleus() -> None:
    from sacrebleu import sentence_chrf

    assert chrf("Son 59.", "Son 59.") == 100.0
    assert chrf("xyz", "Son 59.") == 0.0
    assert chrf("Son 58 en total.", "Son 59 en total.") == sentence_chrf("Son 58 en total.", ["Son 59 en total."]).score


def test_what_came_back_is_scored_by_direction(made: Made) -> None:
    made.back = [
        back("p0", "es", "en", "5 and 54 are 59."),
        back("p1", "es", "en", "54 are 59 and 5."),
        back("p2", "es", "en", None),
        back("p0", "en", "es", "Son 57."),
    ]
    made.write(settings())
    figures = audit.measure(settings(), "m1", None, {}).figures["round_trip"]
    there = chrf("54 are 59 and 5.", "5 and 54 are 59.")
    assert 20 < there < 90
    assert figures["en-es"]["chrf"] == round((100 + there) / 2, 6)
    assert (figures["en-es"]["n"], figures["en-es"]["unparsed"], figures["en-es"]["same"]) == (3, 1, 1)
    assert figures["en-es"]["low"] <= figures["en-es"]["chrf"] <= figures["en-es"]["high"]
    # One text bounds little: 97.5% of all could be otherwise.
    assert figures["es-en"] == {"n": 1, "unparsed": 0, "same": 1, "chrf": 100.0, "low": 2.5, "high": 100.0}


@pytest.mark.parametrize(("directions", "told"), [("dominant", "es-en"), ("others", "en-es")])
def test_translations_that_no_pair_is_made_of_are_no_fault(made: Made, directions: str, told: str) -> None:
    base = settings()
    one_sided = settings(pairs=msgspec.structs.replace(base.pairs, directions=directions))
    made.back = [back("p0", "es", "en", "5 and 54 are 59."), back("p0", "en", "es", "Son 57.")]
    made.write(one_sided)
    report = audit.run(one_sided, "m1")
    assert {name: row["n"] for name, row in report.figures["round_trip"].items()} == {told: 1}


def test_without_a_sample_nothing_is_measured(made: Made) -> None:
    made.write(settings())
    figures = audit.measure(settings(), "m1", None, {}).figures["round_trip"]
    assert figures == {name: {"n": 0, "unparsed": 0, "same": 0} for name in ("en-es", "es-en")}


def test_the_answer_that_a_text_arrives_at_is_kept_or_lost(made: Made) -> None:
    made.write(settings())
    figures = audit.measure(settings(), "m1", None, {}).figures["fidelity"]
    # p1 arrives at 5 in Spanish, though it has all numbers; p2 has no gold answer, p3's is no number.
    assert (figures["en-es"]["with_answer"], figures["en-es"]["answer_kept"]) == (2, 1)
    assert (figures["en-es"]["with_numbers"], figures["en-es"]["numbers_kept"]) == (3, 3)
    # A wrong answer that stays the same counts as kept.
    assert (figures["es-en"]["with_answer"], figures["es-en"]["answer_kept"]) == (2, 1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([back("p9", "es", "en", "No.")], "a row of 'p9': there is no translation en-es of it"),
        ([back("p0", "es", "en", "59.")] * 2, r"round_trip.jsonl:2: a second row with the id 'translation:p0:en-es'"),
    ],
)
def test_a_row_of_no_translation_and_a_second_row_are_errors(made: Made, rows: list[Translation], message: str) -> None:
    made.back = rows
    made.write(settings())
    with pytest.raises(InputError, match=message):
        audit.measure(settings(), "m1", None, {})
