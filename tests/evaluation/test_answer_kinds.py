"""Answers in the notations of people and models.

tests/cases/answers-*.jsonl hold a kind each, with the expected number: handmade ones, named by reason or kind, and
those from public bug reports, with their source. Cases under `stays` only resemble the kind.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lidr import config
from lidr.chat import reasoning
from lidr.evaluation.mgsm import BENCHMARK as MGSM
from lidr.evaluation.mgsm import Mgsm
from lidr.evaluation.mgsm.extraction.notation import in_digits
from lidr.evaluation.mgsm.extraction.run_on import answer_part
from lidr.evaluation.mgsm.extraction.words import _tables, has_words
from lidr.evaluation.mgsm.scorers import extract_answer, lm_eval_flexible

CASES = [
    json.loads(line)
    for path in sorted((Path(__file__).parents[1] / "cases").glob("answers-*.jsonl"))
    for line in path.read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answers_are_read(case: dict) -> None:
    gold = case["gold"]
    assert extract_answer(case["text"], case["lang"]) == (None if gold is None else Decimal(str(gold)))


def check(lang: str, text: str, expected: str | None) -> None:
    assert extract_answer(text, lang) == (None if expected is None else Decimal(expected))


# --- reasoning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opening", "closing"), reasoning.MARKS)
def test_reasoning_of_every_family_is_left_out(opening: str, closing: str) -> None:
    check("de", f"{opening}Die Antwort lautet 12? Nein.{closing}\n\nEs sind 18.", "18")
    check("de", f"{opening}Die Antwort lautet 12", None)
    check("de", f"Sicher. {opening}\\boxed{{12}}{closing} Es sind 18.", "18")


# --- units and formulas ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2^3", "8"), ("2³", "8"), ("2^{10}", "1024"), ("x^2 = 36, so x = 6", "6"), ("(1+2)^2 = 9", "9"), ("0^0", "0")],
)
def test_exponents_of_numbers_are_powers(text: str, expected: str) -> None:
    check("en", text, expected)


# --- another problem -------------------------------------------------------------------------------------------------


def test_the_rest_of_the_text_is_kept_as_it_is() -> None:
    text = "Step 1: 9 * 2 = 18.\nThe answer is 18: nine times two."
    assert answer_part(text, "en") == text


# --- scales ----------------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 999), st.sampled_from([(lang, w, p) for lang, t in _tables().items() for w, p in t.scales.items()])
)
@settings(max_examples=200, deadline=None)
def test_every_scale_word_is_read(number: int, scale: tuple[str, str, int]) -> None:
    lang, word, power = scale
    assert in_digits(f"{number} {word}", lang) == str(number * 10**power)


# --- phrases by language ---------------------------------------------------------------------------------------------


def test_languages_without_words_are_named(project_settings: config.Settings) -> None:
    assert has_words("pt-BR") and not has_words("xh")
    some = replace(project_settings.block(Mgsm), languages=("en", "xh", "ko", "ee"))
    unknown = MGSM.notes(replace(project_settings, mgsm=some))
    says = "no answer phrases known; read by English's and by the last number"
    not_counted = "off-target answers not counted; py3langid does not know the language"
    assert unknown == [f"xh: {says}", f"ee: {says}", f"ee: {not_counted}"]
    assert len(MGSM.notes(replace(project_settings, mgsm=replace(some, style="en_cot")))) == 2
    check("xh", "Impendulo ngu-18.", "18")
    check("xh", "The answer is 18. Iibhokisi ezi-3.", "18")


def test_the_harness_still_reads_the_whole_text() -> None:
    assert lm_eval_flexible("<think>12</think> 18 cm^2") == "2"
