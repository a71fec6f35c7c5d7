"""Reading the final number out of a worked answer, in any language, and scoring it.

    >>> extract_answer("Das sind 40.000 + 40.000 Dollar. Die Antwort lautet 80.000.", "de")
    Decimal('80000')
    >>> score("She earns 9 * 2 = $18 every day.", 18, "en")
    Scores(lm_eval_strict=False, lm_eval_flexible=True, robust=True, parsed=True)

Three scorers stand side by side. `lm_eval_strict` and `lm_eval_flexible` do what lm-evaluation-harness 0.4.13 does in
its `mgsm_native_cot` tasks, errors included, so that numbers can be compared with those of others; a test runs that
package on the same outputs. `robust`, the headline, is `extract_answer`, in three steps:

1. The text is cut where the model goes on to invent another question.
2. Its writing is normalised (`rewriting`): digits of all scripts, full-width signs, LaTeX, bold, calculator marks.
3. The answer is what follows `####`, or stands in the last `\\boxed{}`, or follows the last phrase such as 'The answer
   is' in the item's language or English, or else is the last number. Nothing found is None, never 0.

Numbers in words ('eighteen', '十八', '2 million') are not read.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache

from lidr.evals.phrases import Wording, wording
from lidr.evals.rewriting import CURRENCY, NARROW, in_one_writing
from lidr.languages import decimal_mark


@dataclass(frozen=True)
class Scores:
    """Whether an answer is right by each scorer, and whether `robust` found a number at all."""

    lm_eval_strict: bool
    lm_eval_flexible: bool
    robust: bool
    parsed: bool


def score(text: str, gold: int | Decimal, lang: str, phrase_lang: str | None = None) -> Scores:
    """Score one answer to an item in `lang`.

    `phrase_lang` is the language whose phrase the strict scorer looks for: the item's own, unless the prompt asked for
    another one, as `en_cot` does.
    """
    found = extract_answer(text, lang)
    return Scores(
        lm_eval_strict=lm_eval_equal(lm_eval_strict(text, phrase_lang or lang), gold),
        lm_eval_flexible=lm_eval_equal(lm_eval_flexible(text), gold),
        robust=found == gold,
        parsed=found is not None,
    )


# --- lm-evaluation-harness 0.4.13 ------------------------------------------------------------------------------------

_STRICT_NUMBER = r"(\-?[0-9\.\,]+)"
_FLEXIBLE_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def lm_eval_strict(text: str, lang: str) -> str | None:
    """What the filter `strict-match` extracts: the number of the first strict phrase; None where it says [invalid]."""
    before, after = wording(lang).strict.split("{}")
    match = re.search(re.escape(before) + _STRICT_NUMBER + re.escape(after), text)
    return match[1] if match else None


def lm_eval_flexible(text: str) -> str | None:
    """What the filter `flexible-extract` extracts: the last thing that looks like a number."""
    matches = [match[0] for match in _FLEXIBLE_NUMBER.finditer(text)]
    return matches[-1] if matches else None


def lm_eval_equal(extracted: str | None, gold: int | Decimal) -> bool:
    """Its exact match: equality of strings without ASCII punctuation, so 1.8, -18 and 18 are equal, 5.0 and 5 not."""
    if extracted is None:
        return False
    expected = str(int(gold)) if gold == int(gold) else str(gold)
    return extracted.translate(_WITHOUT_PUNCTUATION) == expected.translate(_WITHOUT_PUNCTUATION)


# --- robust ----------------------------------------------------------------------------------------------------------


# The audit meets a text as an answer, as what is translated and in several pairs, each time close to the last.
@lru_cache(maxsize=128)
def extract_answer(text: str, lang: str) -> Decimal | None:
    """The number that a worked answer in `lang` arrives at, or None where it holds none."""
    text = in_one_writing(_before_next_question(text, lang))
    for find in (_after_hashes, _in_last_box, _after_last_phrase, _last_number):
        found = find(text, lang)
        if found is not None:
            return found
    return None


_DIGIT = re.compile(r"\d")


def _before_next_question(text: str, lang: str) -> str:
    """The text up to a question that the model begins to invent.

    A marker counts where a sentence may begin and once a number has been written: a model that first repeats the
    question that it was asked has not answered yet. 'Question 2:' is no marker: numbered ones are steps of a solution.
    """
    if ":" not in text and "：" not in text:
        return text
    digit = _DIGIT.search(text)
    marker = _question_marker(lang).search(text, digit.end()) if digit else None
    return text[: marker.start()] if marker else text


@cache
def _question_marker(lang: str) -> re.Pattern[str]:
    words = _any_of(word for words in _wordings(lang) for word in words.questions)
    return re.compile(rf"(?:^|(?<=[.!?。！？।]))[ \t#>*_]*{words}[*_]*\s*[:：]", re.IGNORECASE | re.MULTILINE)


def _wordings(lang: str) -> tuple[Wording, Wording]:
    return wording(lang), wording("en")


def _any_of(phrases: Iterator[str] | tuple[str, ...]) -> str:
    """A pattern of alternatives, longest first, in which any white space may stand for a space."""
    longest_first = sorted({unicodedata.normalize("NFC", phrase) for phrase in phrases}, key=len, reverse=True)
    return "(?:" + "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in longest_first) + ")"


# --- numbers ---------------------------------------------------------------------------------------------------------

_CASED = "A-Za-z\u00c0-\u024f\u0400-\u04ff"  # letters of scripts that set spaces between words


@cache
def _numeral(lang: str) -> re.Pattern[str]:
    """One number: an optional sign and currency, the `digits` with their separators, an optional `divisor`."""
    # With a decimal comma, thousands are set with spaces too; elsewhere '80 000' is one number only because no number
    # of its own begins with 0.
    spaced = "" if decimal_mark(lang) == "," else r"[0-9]{1,3}[ ]0[0-9]{2}(?:[ ][0-9]{3})*(?![0-9])|"
    groups = rf"[.,'{NARROW} ]" if decimal_mark(lang) == "," else rf"[.,'{NARROW}]"
    return re.compile(
        rf"""
        (?:(?<![0-9{_CASED})\]}}%])(?<![0-9)\]}}%][ ])(?P<sign>-)[{CURRENCY}]?)?
        (?<![0-9])(?<!\b[A-Za-z])                                # no m2, x1
        (?P<digits>
            [0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}}(?:\.[0-9]+)?(?![0-9])       # Indian groups
          | (?<![0-9][.,])[0-9]{{1,3}}(?:(?P<mark>{groups})[0-9]{{3}})(?:(?P=mark)[0-9]{{3}})*
            (?:(?!(?P=mark))[.,][0-9]+)?(?![0-9])
          | {spaced}
            (?<![0-9][.,])[0-9]+[.,][0-9]+(?![.,]?[0-9])         # decimals; '3,4,5' are three numbers
          | [0-9]+
        )
        (?:/(?P<divisor>[0-9]+)(?![/.,]?[0-9]))?
        """,
        re.VERBOSE,
    )


def _value(match: re.Match[str], lang: str) -> Decimal:
    digits, divisor, sign = match.group("digits", "divisor", "sign")
    value = _decimal(digits, lang)
    if divisor and int(divisor):
        value /= int(divisor)
    return -value if sign else value


_SEPARATOR = re.compile(rf"['{NARROW} ]")


def _decimal(digits: str, lang: str) -> Decimal:
    """The value of digits with separators, as the language would have them read."""
    if digits.isdecimal():
        return Decimal(digits)
    bare = _SEPARATOR.sub("", digits)
    marks = {mark for mark in ".," if mark in bare}
    if not marks:
        return Decimal(bare)
    later = max(marks, key=bare.rfind)
    if len(marks) == 1 and bare == digits and _groups_thousands(bare, later, lang):
        return Decimal(bare.replace(later, ""))
    whole, fraction = bare.rsplit(later, 1)
    return Decimal(f"{whole.replace(',', '').replace('.', '')}.{fraction}")


def _groups_thousands(digits: str, mark: str, lang: str) -> bool:
    head, *groups = digits.split(mark)
    if head.startswith("0") or len(head) > 3:
        return False
    if all(len(group) == 3 for group in groups):
        return not (mark == "." and len(groups) == 1 and decimal_mark(lang) == ".")
    return mark == "," and len(groups[-1]) == 3 and all(len(group) == 2 for group in groups[:-1])


# --- where the answer stands -----------------------------------------------------------------------------------------

# Lengths are bounded because a model that is stuck repeats a phrase or a bracket thousands of times.
_LONGEST = 300
# What may stand between a phrase and its number without a word.
_LEAD = rf"[ \t*:={CURRENCY}]{{0,40}}"
_LEAD_OVER_LINES = re.compile(rf"[\s*:={CURRENCY}]{{0,40}}")
# To the end of the sentence, over decimals and abbreviations such as 'Rs. 500'.
_SENTENCE = re.compile(rf"(?:\b[^\W\d_]{{1,3}}\.(?=\s?[0-9])|[.](?=[0-9])|[^\n.!?。।]){{0,{_LONGEST}}}")
_UNIT = rf"[^\s0-9=≈+*/×÷·(),.;:!?<>{CURRENCY}-]{{1,20}}"
# From one number of a calculation to the next, over its unit: '9 eggs * $2 = $18'.
_LINK = re.compile(
    rf"(?:\s?{_UNIT}(?:\s{_UNIT}){{0,2}})?\s*(?P<operator>[-+*/×÷·=≈]|x(?=\s?[0-9{CURRENCY}]))\s*"
    rf"[{CURRENCY}]?\s?"
)
_LIST_NUMBER = re.compile(r"[0-9]+[.)]\s+\S")


def _after_hashes(text: str, lang: str) -> Decimal | None:
    """GSM8K's '#### 18'. A Markdown heading begins in the same way, so the number must follow at once."""
    if "####" not in text:
        return None
    for match in reversed(list(re.finditer(rf"####{_LEAD}", text))):
        number = _numeral(lang).match(text, match.end())
        if number and not _LIST_NUMBER.match(text, number.start()):
            return _value(number, lang)
    return None


def _in_last_box(text: str, lang: str) -> Decimal | None:
    """The number of the last `\\boxed{}` that holds one."""
    if "boxed" not in text:
        return None
    for match in reversed(list(re.finditer(r"\\f?boxed\s*\{", text))):
        found = _read(text, match.end(), _closing_brace(text, match.end()), lang)
        if found is not None:
            return found[0]
    return None


def _closing_brace(text: str, start: int) -> int:
    depth, end = 1, min(len(text), start + _LONGEST)
    for position in range(start, end):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return end


def _after_last_phrase(text: str, lang: str) -> Decimal | None:
    """The number that the last answer phrase introduces; phrases without one are passed over."""
    if ":" in text:
        text = _steps_heading(lang).sub(" ", text)
    start = _first_opening(text, lang)
    if start is None:
        return None
    for match in reversed(list(_phrase(lang).finditer(text, start))):
        if match["phrase"]:
            found = _in_sentence(text, match.end(), lang)
        elif match["word"]:
            found = _alone_after_colon(text, match.end(), lang)
        else:
            number = _numeral(lang).match(text, match.end())
            found = _value(number, lang) if number else None
        if found is not None:
            return found
    return None


@cache
def _steps_heading(lang: str) -> re.Pattern[str]:
    """The heading above the reasoning: in some languages it ends in the word for 'answer' and a colon."""
    headings = _any_of(words.steps.rstrip(" :") for words in _wordings(lang))
    return re.compile(rf"{headings}\s*:", re.IGNORECASE)


def _first_opening(text: str, lang: str) -> int | None:
    """Where the first phrase could begin: most of a long answer is passed over without looking for all phrases."""
    lower = text.lower()
    if len(lower) != len(text):
        return 0
    places = [place for word in _openings(lang) if (place := lower.find(word)) >= 0]
    return min(places, default=None)


@cache
def _openings(lang: str) -> frozenset[str]:
    """The words that phrases begin with."""
    own, english = _wordings(lang)
    phrases = [*own.phrases, *own.words, *own.openers, *english.phrases, *english.words]
    return frozenset(unicodedata.normalize("NFC", phrase).split()[0].lower() for phrase in phrases)


@cache
def _phrase(lang: str) -> re.Pattern[str]:
    phrases = _any_of(phrase for words in _wordings(lang) for phrase in words.phrases)
    answers = _any_of(word for words in _wordings(lang) for word in words.words)
    openers = _any_of(wording(lang).openers) if wording(lang).openers else r"(?!)"
    return re.compile(rf"(?P<phrase>{phrases})|(?P<word>{answers}\s*:)|(?P<opener>{openers}{_LEAD})", re.IGNORECASE)


def _in_sentence(text: str, start: int, lang: str) -> Decimal | None:
    """The first number in the rest of the sentence."""
    start = _end(_LEAD_OVER_LINES, text, start)
    found = _read(text, start, _end(_SENTENCE, text, start), lang)
    return found[0] if found else None


def _alone_after_colon(text: str, start: int, lang: str) -> Decimal | None:
    """The number right after 'Answer:' if it is the only one in its sentence, parentheses apart.

    Reasoning may begin in the same way, so a calculation counts only where no number comes after it.
    """
    start = _end(_LEAD_OVER_LINES, text, start)
    if not _numeral(lang).match(text, start) or _LIST_NUMBER.match(text, start):
        return None
    stop = _end(_SENTENCE, text, start)
    sentence = re.sub(r"\([^()]*\)", "", text[start:stop])
    first, found = _numeral(lang).match(sentence), _read(sentence, 0, len(sentence), lang)
    if first is None or found is None or _numeral(lang).search(sentence, found[1]):
        return None
    is_calculation = found[1] > first.end()
    return None if is_calculation and _numeral(lang).search(text, stop) else found[0]


def _read(text: str, start: int, stop: int, lang: str) -> tuple[Decimal, int] | None:
    """The first number between two positions and where it ends; of a calculation, the number after the last '='."""
    number = _numeral(lang).search(text, start, stop)
    if number is None:
        return None
    first, result, end = _value(number, lang), None, number.end()
    while link := _LINK.match(text, end, stop):
        number = _numeral(lang).match(text, link.end(), stop)
        if number is None:
            break
        result, end = _value(number, lang) if link["operator"] in "=≈" else None, number.end()
    return (first if result is None else result), end


# From the end of a text to where its last number begins, at the latest: what stands before is in no number.
_BACK_TO_LAST = re.compile(rf"[^0-9]*[0-9.,'{NARROW} /{CURRENCY}-]*")


def _last_number(text: str, lang: str) -> Decimal | None:
    back = _BACK_TO_LAST.match(text[::-1])
    start = len(text) - back.end() if back else 0
    # What has digits is not always a number: 'It covers 18 m2.'
    numbers = list(_numeral(lang).finditer(text, start)) or list(_numeral(lang).finditer(text))
    return _value(numbers[-1], lang) if numbers else None


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start
