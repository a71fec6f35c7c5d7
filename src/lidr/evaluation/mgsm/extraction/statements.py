"""Which number of a sentence is the one that it states, once a phrase such as 'The answer is' has introduced it.

    >>> stated("The answer is that in 3 years he will be 60 years old.", 13, "en")
    Decimal('60')
    >>> stated("答えは1日あたり18ドルです。", 3, "ja"), stated("It is 18 eggs for 3 boxes.", 5, "en")
    (Decimal('18'), Decimal('18'))

A number that follows at once is the answer, or, in languages that set modifiers first, the last one of its clause.
Where other words come first, it is the last number of the sentence, up to a reason or a remark in parentheses. Asides
('in 3 years', 'not 20', '20% of 90') are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from lidr.evaluation.mgsm.extraction.notation import CODES
from lidr.evaluation.mgsm.extraction.numerals import numeral, value
from lidr.evaluation.mgsm.extraction.words import any_of, own_and_english, words
from lidr.evaluation.mgsm.extraction.writing import CURRENCY

# Lengths are bounded because a model that is stuck repeats a phrase or a bracket thousands of times.
LONGEST = 300
LEAD_OVER_LINES = re.compile(rf"[\s*:={CURRENCY}]{{0,40}}")
# To the end of the sentence, over decimals and abbreviations such as 'Rs. 500'.
_SENTENCE = re.compile(rf"(?:\b[^\W\d_]{{1,3}}\.(?=\s?[0-9])|[.](?=[0-9])|[^\n.!?。।]){{0,{LONGEST}}}")
UNIT = rf"[^\s0-9=≈+*/×÷·(),.;:!?<>{CURRENCY}-]{{1,20}}"
# From one number of a calculation to the next, over its unit: '9 eggs * $2 = $18'.
_LINK = re.compile(
    rf"(?:\s?{UNIT}(?:\s{UNIT}){{0,2}})?\s*(?P<operator>[-+*/×÷·=≈]|x(?=\s?[0-9{CURRENCY}]))\s*"
    rf"[{CURRENCY}]?\s?"
)
# No mark within a number is meant.
_COMMA = re.compile(r"(?<![0-9])[,،]|[,،](?![0-9])|、")
_MARK = re.compile(r"(?<![0-9])[.,،]|[.,،](?![0-9])|[、!?;؛\n。।—–]")
_CODE = re.compile(rf"(?:{CODES})\.?")
# '20% of 90', '1/2 of 36', and in other languages '90的20%'.
_PART_OF = re.compile(rf"\s?%?\s?\S{{0,4}}(?:\s\S{{1,3}})?\s?[{CURRENCY}]?")
_OF_PERCENT = re.compile(r"\s?\S{0,4}\s?")


class Quantity(NamedTuple):
    """A number, or a calculation with the number after its last '='; where it has none, it is open: '3 * 6'."""

    start: int
    end: int
    value: Decimal
    is_calculation: bool
    is_open: bool


def quantity(text: str, start: int, stop: int, lang: str) -> Quantity | None:
    """The first one between two positions."""
    number = numeral(lang).search(text, start, stop)
    if number is None:
        return None
    begin, first, result, end = number.start(), value(number, lang), None, number.end()
    operators = ""
    while link := _LINK.match(text, end, stop):
        number = numeral(lang).match(text, link.end(), stop)
        if number is None:
            break
        result, end = value(number, lang) if link["operator"] in "=≈" else None, number.end()
        operators += link["operator"]
    # '18-20' may be a range.
    is_open = result is None and bool(operators) and "-" not in operators
    return Quantity(begin, end, first if result is None else result, bool(operators), is_open)


def quantities(text: str, lang: str) -> Iterator[Quantity]:
    """All of a text."""
    end = 0
    while found := quantity(text, end, len(text), lang):
        yield found
        end = found.end


def after(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the pattern's match at a position ends."""
    match = pattern.match(text, start)
    return match.end() if match else start


def sentence_end(text: str, start: int) -> int:
    """Where the sentence ends that a position stands in."""
    return after(_SENTENCE, text, start)


def stated(text: str, start: int, lang: str, is_own: bool = True) -> Decimal | None:
    """The number that the rest of a sentence states; `is_own` is false where it is in English instead."""
    start = after(LEAD_OVER_LINES, text, start)
    aside = None
    is_last = is_own and words(lang).answer_last
    for part in _part_end(lang).split(text[start : sentence_end(text, start)]):
        main: list[Quantity] = []
        for clause in _COMMA.split(part):
            found = list(quantities(clause, lang))
            if aside is None and found and not re.search(r"\w", clause[: found[0].start]):
                aside = found[0].value
            own = _without_asides(clause, found, lang)
            first = signed(clause, own[0], lang) if own and not main else None
            # An open calculation states nothing: 'The answer is 3 * 6, which is 18.'
            if first is not None and not own[0].is_open:
                return own[-1].value if _is_modifier(clause, own, is_last) else first
            main += own
        if main:
            return main[-1].value
    return aside


def _is_modifier(clause: str, own: list[Quantity], is_last: bool) -> bool:
    """Whether the first number only leads to the last: '1日あたり18ドル', '9 times $2 = $18'. It has a unit then."""
    if len(own) == 1 or not clause[own[0].end : own[1].start].strip():
        return False
    return is_last or "=" in clause[own[-1].start : own[-1].end]


@cache
def _part_end(lang: str) -> re.Pattern[str]:
    """Where a reason or a remark begins."""
    reasons = [
        rf"(?<!\w){any_of(table.reasons)}(?!\w)" if table.joined else any_of(table.reasons)
        for table in own_and_english(lang)
    ]
    return re.compile("|".join(["[;؛()—–]", *reasons]), re.IGNORECASE)


def signed(clause: str, first: Quantity, lang: str) -> Decimal | None:
    """The value of a clause's number at its beginning, one word apart ('about 18', 'USD 18', 'minus 18')."""
    before = clause[: first.start].strip(f" \t\n*:=~≈\"'„“”«»¿¡{CURRENCY}")
    if any(before in table.negatives for table in own_and_english(lang)):
        return -first.value
    # Where no spaces stand between words, a short one: '約'.
    is_long = len(before.split()) > 1 or (words(lang).answer_last and not words(lang).joined and len(before) > 2)
    return first.value if not is_long and (before == before.lower() or _CODE.fullmatch(before)) else None


def without_asides(text: str, lang: str) -> list[Quantity]:
    """The numbers of a text that are more than asides, by their places in their clauses."""
    clauses = _MARK.split(text)
    return [one for clause in clauses for one in _without_asides(clause, list(quantities(clause, lang)), lang)]


def _without_asides(clause: str, found: list[Quantity], lang: str) -> list[Quantity]:
    introduced, ended = _aside(lang)
    if not found or ended.search(clause):
        return []
    asides = {one for one in found if introduced.search(clause[max(0, one.start - 40) : one.start])}
    for one, other in pairwise(found):
        between, behind = clause[one.end : other.start], clause[other.end :]
        part_of = _PART_OF.fullmatch(between) is not None and ("%" in between or "/" in clause[one.start : one.end])
        if part_of or (re.match(r"\s?%", behind) and _OF_PERCENT.fullmatch(between)):
            asides |= {one, other}
    return [one for one in found if one not in asides]


def is_aside(before: str, inner: str, lang: str) -> bool:
    """Whether words make an aside of a quantity: those before it, or those that end it."""
    introduced, ended = _aside(lang)
    return introduced.search(before[-40:]) is not None or ended.search(inner) is not None


@cache
def _aside(lang: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What makes an aside of the number behind it, and what of the clause that it ends."""
    tables = own_and_english(lang)
    before = [(r"(?<!\w)" if table.joined else "") + any_of(table.asides) for table in tables if not table.answer_last]
    behind = any_of(word for table in tables if table.answer_last for word in table.asides)
    return (
        re.compile(rf"(?:{'|'.join(before) or '(?!)'})(?:\s[^\W\d]{{1,3}})?\s*[{CURRENCY}]?\s?\Z", re.IGNORECASE),
        re.compile(rf"{behind}\s*\Z", re.IGNORECASE),
    )
