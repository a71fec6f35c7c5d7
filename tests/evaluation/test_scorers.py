"""Answer extraction: integers in every notation of a language, and scores."""

from __future__ import annotations

import json
from decimal import Decimal
from time import process_time
from typing import Any

import pytest
from factories import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lidr import config
from lidr.chat import reasoning
from lidr.evaluation.mgsm import BENCHMARK as MGSM
from lidr.evaluation.mgsm import Mgsm
from lidr.evaluation.mgsm.extraction.words import _tables, has_words, wording
from lidr.evaluation.mgsm.scorers import extract_answer, score

LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")

# --- integers in every convention of a language ----------------------------------------------------------------------

DIGITS = {
    "bn": "০১২৩৪৫৬৭৮৯",
    "te": "౦౧౨౩౪౫౬౭౮౯",
    "th": "๐๑๒๓๔๕๖๗๘๙",
    "zh": "０１２３４５６７８９",
    "ja": "０１２３４５６７８９",
}
GROUPS = {
    "de": (".", " ", "\u202f", "'", ","),
    "es": (".", " ", "\u202f", ","),
    "fr": (" ", "\u202f", "\u00a0", ","),
    "ru": (" ", "\u00a0", ","),
}
UNITS = {"zh": "元", "ja": "ドル", "th": " บาท", "bn": " ডলার", "te": " డాలర్లు", "ru": " долларов", "sw": " dola"}


def grouped(number: int, mark: str) -> str:
    return f"{number:,}".replace(",", mark)


def indian(number: int) -> str:
    head, tail = divmod(number, 1_000)
    if not head:
        return str(tail)
    return f"{head // 100},{head % 100:02d},{tail:03d}" if head >= 100 else f"{head},{tail:03d}"


def myriads(number: int) -> str:
    head, tail = divmod(number, 10_000)
    return f"{head}万{tail or ''}" if head else str(tail)


def renderings(number: int, lang: str) -> list[str]:
    """The number in the language's notations."""
    written = [str(number), *(grouped(number, mark) for mark in GROUPS.get(lang, (",",)))]
    if lang in ("bn", "te", "en"):
        written.append(indian(number))
    if lang in ("zh", "ja"):
        written.append(myriads(number))
    written += [f"{number:,}".replace(",", mark) for mark in ("{,}", r"\,", "\u202f")]
    own = str.maketrans("0123456789,", f"{DIGITS[lang]},") if lang in DIGITS else {}
    return [*written, *(text.translate(own) for text in written)]


def dressings(text: str, number: int, lang: str) -> list[str]:
    """A rendering in the contexts of an answer."""
    unit = UNITS.get(lang, " dollars")
    phrase = wording(lang).strict
    return [
        text,
        f"**{text}**",
        f"${text}",
        f"{text}{unit}",
        f"{text}{unit} (netto)",
        f"{text}.",
        f"= <<{number}={number}>>{text}",
        f"#### {text}",
        rf"\boxed{{{text}}}",
        rf"$\boxed{{{text}\text{{{unit}}}}}$",
        phrase.format(text),
        phrase.format(f"**{text}{unit}**"),
        f"7 + 8 = 15. {phrase.format(text)} 3 + 4 = 7.",
        f"{phrase.format(text)}\n\n{wording(lang).question} 3 + 4?",
    ]


@pytest.mark.parametrize("lang", [*LANGUAGES, "it", "pt"])
@given(number=st.integers(1, 999_999))
@settings(max_examples=40, deadline=None)
def test_an_integer_is_read_back_from_every_convention(lang: str, number: int) -> None:
    for text in renderings(number, lang):
        for dressed in dressings(text, number, lang):
            assert extract_answer(dressed, lang) == number, dressed


@pytest.mark.parametrize(
    "text",
    [
        *("9" * 20_000, "1,000," * 5_000, "x " * 10_000 + "= 1", "\\boxed{" * 5_000, "1." * 9_000),
        *("<answer>1 " * 5_000, "9^9" * 9_000, "2 million " * 5_000, "Question:\n" * 10_000 + "3", "3万" * 9_000),
        *("3 Question: a?\n" * 8_000, "Answer: 5, 6 " * 5_000, "**1** " * 9_000, "The answer is 5. Wait, " * 5_000),
    ],
)
def test_degenerate_repetition_is_read_in_time(text: str) -> None:
    begun = process_time()
    extract_answer(text, "de")
    assert process_time() - begun < 20  # patterns with quadratic time take minutes


# --- the three scorers -----------------------------------------------------------------------------------------------


def test_the_three_scorers_stand_side_by_side() -> None:
    assert list(score("The answer is 18.", 18, "en").values()) == [True, True, True, True]
    assert list(score("The answer is -18.", 18, "en").values()) == [False, True, True, True]
    assert list(score("The answer is 18.0.", 18, "en").values()) == [True, False, False, True]
    assert not any(score("keine Zahl", 18, "de").values())
    assert [score("The answer is 18.", 18, "de", phrase_lang=lang)["strict"] for lang in (None, "en")] == [False, True]
    assert score("<think>12</think> 18 cm^2", 2, "en")["flexible"], "the harness reads the whole text"


# --- kinds of answers ------------------------------------------------------------------------------------------------

# A kind each, with the expected number: handmade ones, named by reason or kind, and those from public bug reports, with
# their source. Cases under `stays` only resemble the kind.
CASES = [
    json.loads(line)
    for path in sorted((ROOT / "tests/cases").glob("answers-*.jsonl"))
    for line in path.read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answers_are_read(case: dict[str, Any]) -> None:
    gold = case["gold"]
    assert extract_answer(case["text"], case["lang"]) == (None if gold is None else Decimal(str(gold)))


@pytest.mark.parametrize(("opening", "closing"), reasoning.MARKS)
def test_reasoning_of_every_family_is_left_out(opening: str, closing: str) -> None:
    thought = f"{opening}Die Antwort lautet 12? Nein."
    assert extract_answer(f"{thought}{closing}\n\nEs sind 18.", "de") == 18
    assert extract_answer(thought, "de") is None
    assert extract_answer(f"Sicher. {opening}\\boxed{{12}}{closing} Es sind 18.", "de") == 18


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2^3", 8), ("2³", 8), ("2^{10}", 1024), ("x^2 = 36, so x = 6", 6), ("(1+2)^2 = 9", 9), ("0^0", 0)],
)
def test_exponents_of_numbers_are_powers(text: str, expected: int) -> None:
    assert extract_answer(text, "en") == expected


SCALES = [(lang, word, power) for lang, table in _tables().items() for word, power in table.scales.items()]


@given(st.integers(1, 999), st.sampled_from(SCALES))
@settings(max_examples=200, deadline=None)
def test_every_scale_word_is_read(number: int, scale: tuple[str, str, int]) -> None:
    lang, word, power = scale
    assert extract_answer(f"{number} {word}", lang) == number * 10**power


def test_languages_without_words_are_named(project_settings: config.Settings) -> None:
    assert has_words("pt-BR") and not has_words("xh")
    some = replace(project_settings.block(Mgsm), languages=("en", "xh", "ko", "ee"))
    says = "no answer phrases known; read by English's and by the last number"
    not_counted = "off-target answers not counted; py3langid does not know the language"
    notes = [f"xh: {says}", f"ee: {says}", f"ee: {not_counted}"]
    assert MGSM.notes(replace(project_settings, mgsm=some)) == notes
    assert MGSM.notes(replace(project_settings, mgsm=replace(some, style="en_cot"))) == notes[:2]
    assert extract_answer("Impendulo ngu-18.", "xh") == 18
    assert extract_answer("The answer is 18. Iibhokisi ezi-3.", "xh") == 18
