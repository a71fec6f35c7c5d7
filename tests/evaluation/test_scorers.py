"""Answer extraction: integers in every notation of a language, and scores."""

from __future__ import annotations

import sys
import unicodedata
from decimal import Decimal
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidr.evaluation.mgsm.extraction import writing
from lidr.evaluation.mgsm.extraction.words import wording
from lidr.evaluation.mgsm.scorers import extract_answer, lm_eval_equal, lm_eval_flexible, lm_eval_strict, score

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


def test_the_strict_phrase_may_be_that_of_another_language() -> None:
    assert not score("The answer is 18.", 18, "de")["strict"]
    assert score("The answer is 18.", 18, "de", phrase_lang="en")["strict"]


def test_the_harness_extracts_the_first_phrase_and_the_last_number() -> None:
    assert lm_eval_strict("Die Antwort lautet 9. Die Antwort lautet 18.", "de") == "9."
    assert lm_eval_strict("答案是18。", "zh") is None
    assert lm_eval_flexible("She makes $9 + $9 = $18.") == "$18."
    assert lm_eval_flexible("none") is None


@pytest.mark.parametrize(
    ("extracted", "equal"), [("1.8", True), ("-18", True), ("$18.", True), ("18.0", False), (None, False)]
)
def test_the_harness_compares_without_punctuation(extracted: str | None, equal: bool) -> None:
    assert lm_eval_equal(extracted, 18) is equal
    assert lm_eval_equal(extracted, Decimal("18.0")) is equal


@given(
    st.text() | st.text("19.,-' abcäжक٣२７万億千½²％－，：\u00a0\u2009\u202f\u2212\u2011\u2019\u200b\ufeff\\{}$~*_<>=–")
)
def test_a_text_without_anything_unusual_is_as_it_would_be_rewritten(text: str) -> None:
    whole = unicodedata.normalize("NFC", text)
    assert writing.in_one_writing(text) == writing._rewritten(whole)


def test_no_usual_character_is_rewritten() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    usual = [letter for letter in every if not writing._UNUSUAL.search(letter)]
    assert set("az AZ09.,:;!?()'\"—“”„«»…¿¡áßжЖ") <= set(usual)
    for letter in usual:
        for text in (letter, f"1{letter}2", f"1{letter}000", f"{letter}5", f"5{letter}", f"1 {letter} 2"):
            assert writing._rewritten(text) == text
