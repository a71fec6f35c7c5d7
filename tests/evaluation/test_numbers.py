"""Reading answers: hand-made cases, each with its reason, and integers in every way that a language writes them."""

from __future__ import annotations

import sys
import unicodedata
from decimal import Decimal
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidr.evaluation.mgsm.extraction import writing
from lidr.evaluation.mgsm.numbers import Scores, extract_answer, lm_eval_equal, lm_eval_flexible, lm_eval_strict, score
from lidr.evaluation.mgsm.phrases import wording

LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")

CASES = [
    # --- English
    ("en", "She makes 9 * 2 = 18 dollars every day.", "18", "no phrase: the last number"),
    (
        "en",
        "The answer is 18, because 16 - 3 - 4 = 9 and 9 * 2 = 18, in 7 days.",
        "18",
        "the phrase wins over the last",
    ),
    ("en", "THE ANSWER IS: 18", "18", "case and a colon after the phrase"),
    ("en", "The answer is:\n\n18", "18", "the number on a line of its own"),
    ("en", "The final answer is **$18**.", "18", "bold and currency"),
    ("en", "The answer is 9 * 2 = 18 dollars.", "18", "a calculation after the phrase: its result"),
    ("en", "The answer is 9 eggs x $2 per egg = $18.", "18", "a calculation with units"),
    ("en", "The answer is 18 = 9 * 2.", "18", "a calculation that comes after its result"),
    ("en", "The answer is Rs. 500 per month.", "500", "an abbreviation's full stop does not end the sentence"),
    ("en", "The answer is clear. She sells 9 eggs and makes 18.", "18", "a phrase without a number is passed over"),
    ("en", "The answer is 18. I hope that this answer is helpful!", "18", "a later phrase without a number"),
    ("en", "16 - 3 = <<16-3=13>>13\n#### 18\nThe answer is 13.", "18", "GSM8K's mark comes before the phrase"),
    ("en", "#### Step 1: 16 - 3 = 13\nThe answer is 18.", "18", "a heading of the fourth level is no GSM8K mark"),
    ("en", "#### 1. Eggs\n16 - 3 = 13\n#### 2. Money\n9 * 2 = 18", "18", "numbered headings are no GSM8K marks"),
    ("en", r"So \(9 \times 2 = 18\), that is \boxed{18} from 9 eggs.", "18", "a box comes before the last number"),
    ("en", r"\boxed{9} and then \boxed{\$18.00}", "18", "the last box, with currency and decimals"),
    ("en", r"\boxed{\text{The total is } 2{,}125}", "2125", "text and LaTeX's comma in a box"),
    ("en", r"\[ \boxed{9 \times 2 = 18} \]", "18", "a calculation in a box"),
    ("en", r"\boxed{\frac{36}{2}}", "18", "a fraction"),
    ("en", r"\boxed{x} where the answer is 18", "18", "a box without a number is passed over"),
    ("en", "Total: <<9*2=18>>", "18", "a calculator mark in place of its result"),
    ("en", "The answer is 276,000.50.", "276000.50", "both separators: the later is the decimal mark"),
    ("en", "The answer is 1.276.000.", "1276000", "two dots can only be groups"),
    ("en", "The answer is 2.125.", "2.125", "a lone dot where the decimal mark is a dot"),
    ("en", "The answer is 18.00", "18", "equal as a decimal number"),
    ("en", "The answer is 18,5.", "18.5", "a lone comma not before a group of three"),
    ("en", "The answer is 0,125.", "0.125", "no group follows a zero"),
    ("en", "The answer is -18.", "-18", "a sign is part of the number"),
    ("en", "The answer is \u221218.", "-18", "the true minus sign"),
    ("en", "The answer is -$18.", "-18", "a sign before the currency"),
    ("en", "It takes 20-2", "2", "a dash between numbers is no sign"),
    ("en", "It is 80\u202f000 dollars", "80000", "a narrow no-break space inside a number"),
    ("en", "It is 80 000 dollars", "80000", "no number begins with zero, so the space groups"),
    ("en", "In the year 2020 500 people came.", "500", "two numbers side by side stay two"),
    ("en", "They are 3,4,5.", "5", "a list is no number"),
    ("en", "It covers 18 m2.", "18", "a unit's exponent is no number"),
    ("en", "The answer is 18 dollars.\n\nQuestion: Tom has 5 apples. The answer is 5.", "18", "an invented question"),
    ("en", "It is 18. Question: Tom has 5 apples and eats 2.", "18", "an invented question on the same line"),
    ("en", "It is 18\n\n**Question:** Tom has 5 apples.", "18", "an invented question in bold"),
    ("en", "Question: She has 16 ducks.\nAnswer: 18", "18", "the question repeated before anything is answered"),
    ("en", "Question 1: 16 - 7 = 9. Question 2: 9 * 2 = 18.", "18", "numbered questions are steps"),
    ("en", "Answer: 18", "18", "the bare word with a colon"),
    ("en", "Answer: 18 dollars (9 eggs at 2 dollars)", "18", "a parenthesis after the bare word's number"),
    ("en", "Answer: 18 dollars. She sells 9 eggs at 2 dollars.", "18", "the bare word, then an explanation"),
    ("en", "Answer: She has 16 eggs and eats 3.\n9 * 2 = 18", "18", "the bare word before reasoning is no answer"),
    ("en", "Answer: 16 - 7 = 9 eggs. 9 * 2 = 18", "18", "a calculation after the bare word goes on"),
    ("en", "Answer:\n1. She sells 9 eggs.\n2. She makes 18 dollars.\nSo 18.", "18", "a list after the bare word"),
    ("en", "Step-by-Step Answer: 16 eggs a day. 9 * 2 = 18", "18", "the heading above the reasoning is no answer"),
    ("en", "I do not know.", None, "no number at all"),
    ("en", "", None, "nothing at all"),
    ("en", "eighteen", None, "numbers in words are not read"),
    ("en", "The answer is", None, "cut off before the number"),
    # --- German
    ("de", "Die Antwort ist 18 Dollar, denn 9 * 2 = 18 in 1 Tag.", "18", "another verb"),
    ("de", "Die Antwort lautet 18,50 Euro.", "18.50", "the decimal comma"),
    ("de", "Die Antwort lautet 1.276.000,5.", "1276000.5", "both separators in German order"),
    ("de", "Die Antwort lautet 2.125.", "2125", "three digits after the dot are a group in German"),
    ("de", "Die Antwort lautet 2.5.", "2.5", "one digit after the dot cannot be a group"),
    ("de", "**Antwort:** 18 Dollar", "18", "the bare word in bold"),
    ("de", "The answer is 18. Das sind 9 mal 2.", "18", "English's phrase in a German answer"),
    ("de", "Schritt-für-Schritt-Antwort: 16 Eier. 9 * 2 = 18", "18", "the heading ends in the word for answer"),
    # --- Spanish
    ("es", "La respuesta es que Juana gana 9 * 2 = 18 dólares.", "18", "words between phrase and number"),
    ("es", "Respuesta final: 18 dólares", "18", "the bare word with an adjective"),
    ("es", "Gana 2,5 dólares.", "2.5", "the decimal comma"),
    ("es", "Hay \\textbf{18} huevos", "18", "LaTeX's bold"),
    # --- French
    ("fr", "La re\u0301ponse est 18, soit 9 fois 2.", "18", "the accent as a character of its own"),
    ("fr", "La réponse est 80\u00a0000\u00a0€.", "80000", "no-break spaces inside and behind"),
    ("fr", "Réponse : 18 $", "18", "a space before the colon"),
    ("fr", "Elle gagne 18 $.\n\nQuestion : Tom a 5 pommes.", "18", "an invented question with a spaced colon"),
    # --- Russian
    ("ru", "Ответ - 18 долларов, то есть 9 * 2.", "18", "a hyphen in place of the dash"),
    ("ru", "Ответ: 18 долларов.", "18", "the bare word with a colon"),
    ("ru", "Ответ равен 2,5.", "2.5", "the decimal comma"),
    ("ru", "Она зарабатывает 9 * 2 = 18 долл. в день", "18", "an abbreviated unit behind"),
    # --- Chinese
    ("zh", "答案是18美元，因为9×2=18，共1天。", "18", "no spaces; the comma ends the clause"),
    ("zh", "答案是18，16只鸭子。", "18", "a full-width comma between two numbers"),
    ("zh", "答：她每天赚18美元。", "18", "the school's short form"),
    ("zh", "利润是7万5千元", "75000", "myriads and thousands"),
    ("zh", "共1.5万元", "15000", "a fraction of a myriad"),
    ("zh", "一共是27万6000元", "276000", "a myriad and the rest in digits"),
    ("zh", "一共1億2000萬", "120000000", "traditional characters"),
    ("zh", "重3千克", "3", "千克 is a kilogram, not a thousand"),
    ("zh", "答案是－18。", "-18", "a full-width minus"),
    ("zh", "为了解决这个问题：16-7=9，9×2=18", "18", "the word for question within a sentence"),
    # --- Japanese
    ("ja", "答えは、ジャネットは毎日18ドルを稼ぐということです。", "18", "words between phrase and number"),
    ("ja", "答えは9×2＝18ドルです。1週間は7日です。", "18", "a calculation after the phrase, then another sentence"),
    ("ja", "答え：18ドル", "18", "the bare word with a full-width colon"),
    ("ja", "1日に9×2＝18ドルを稼ぎます。", "18", "full-width operators"),
    ("ja", "ステップごとの答え: 卵は16個です。9 × 2 = 18", "18", "the heading ends in the word for answer"),
    # --- Thai
    ("th", "ตอบ 18 ดอลลาร์ (9 ฟอง ฟองละ 2 ดอลลาร์)", "18", "the school's short form"),
    ("th", "คำตอบ: 18", "18", "the bare word with a colon"),
    ("th", "เธอได้ 9 * 2 = 18 ดอลลาร์ต่อวัน", "18", "no phrase: the last number"),
    # --- Swahili
    ("sw", "Jibu la mwisho ni $18 kwa siku 1.", "18", "an adjective in the phrase"),
    ("sw", "Jibu: 18", "18", "the bare word with a colon"),
    ("sw", "Jibu la Hatua kwa Hatua: Kuna mayai 16. 9 * 2 = 18", "18", "the heading above the reasoning"),
    ("sw", "Anapata dola 2.125", "2.125", "Swahili has a decimal dot"),
    # --- Bengali
    ("bn", "The answer is 18", "18", "the harness's phrase is in English"),
    ("bn", "উত্তর হল ১৮।", "18", "Bengali's own phrase, digits and full stop"),
    ("bn", "উত্তর: ১,১৪,২০০", "114200", "Bengali digits in Indian groups"),
    ("bn", "তিনি ৯ × ২ = ১৮ ডলার উপার্জন করেন।", "18", "no phrase: the last number"),
    ("bn", "ধাপে ধাপে উত্তর: ১৬টি ডিম। ৯ × ২ = ১৮", "18", "the heading ends in the word for answer"),
    # --- Telugu
    ("te", "సమాధానం: ౧౮", "18", "Telugu digits after the bare word"),
    ("te", "దశలవారీగా సమాధానం: 16 గుడ్లు. 9 * 2 = 18", "18", "the heading ends in the word for answer"),
    ("te", "సమాధానం కనుగొనడానికి 16 గుడ్లు తీసుకోండి. 9 * 2 = 18", "18", "the word for answer within a sentence"),
    # --- the lab's other languages, and others
    ("ko", "답은 18입니다. The answer is 18, 9 times 2.", "18", "English's phrase in a Korean answer"),
    ("xh", "9 * 2 = 18 iidola", "18", "a language without words here: the last number"),
]


@pytest.mark.parametrize(("lang", "text", "expected", "reason"), CASES)
def test_hand_made_cases(lang: str, text: str, expected: str | None, reason: str) -> None:
    assert extract_answer(text, lang) == (None if expected is None else Decimal(expected)), reason


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
    """The number as the language may write it."""
    written = [str(number), *(grouped(number, mark) for mark in GROUPS.get(lang, (",",)))]
    if lang in ("bn", "te", "en"):
        written.append(indian(number))
    if lang in ("zh", "ja"):
        written.append(myriads(number))
    written += [f"{number:,}".replace(",", mark) for mark in ("{,}", r"\,", "\u202f")]
    own = str.maketrans("0123456789,", f"{DIGITS[lang]},") if lang in DIGITS else {}
    return [*written, *(text.translate(own) for text in written)]


def dressings(text: str, number: int, lang: str) -> list[str]:
    """A rendering as it may stand in an answer."""
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
    ],
)
def test_degenerate_repetition_is_read_in_time(text: str) -> None:
    begun = process_time()
    extract_answer(text, "de")
    assert process_time() - begun < 20  # quadratic patterns take minutes


# --- the three scorers -----------------------------------------------------------------------------------------------


def test_the_three_scorers_stand_side_by_side() -> None:
    assert score("The answer is 18.", 18, "en") == Scores(True, True, True, True)
    assert score("The answer is -18.", 18, "en") == Scores(True, True, False, True)
    assert score("The answer is 18.0.", 18, "en") == Scores(False, False, True, True)
    assert score("keine Zahl", 18, "de") == Scores(False, False, False, False)


def test_the_strict_phrase_may_be_that_of_another_language() -> None:
    assert not score("The answer is 18.", 18, "de").lm_eval_strict
    assert score("The answer is 18.", 18, "de", phrase_lang="en").lm_eval_strict


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
