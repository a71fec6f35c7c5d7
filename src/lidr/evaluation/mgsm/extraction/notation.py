"""Numbers in words, powers and mixed fractions, rewritten into digits, by language.

    >>> in_digits("The answer is 2 million, or 1.8e4, or 2 1/2, or 70k.", "en")
    'The answer is 2000000, or 18000, or 2.5, or 70000.'
    >>> in_digits("Jibu ni elfu 18", "sw"), in_digits("1 লাখ 14 হাজার 200", "bn")
    ('Jibu ni 18000', '114200')

It expects a text that `writing` has normalised. A word without digits ('eighteen', 'a million') is not read.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache, partial

from lidr.evaluation.mgsm.extraction.numerals import CASED, decimal, written
from lidr.evaluation.mgsm.extraction.words import any_of, own_and_english, words
from lidr.evaluation.mgsm.extraction.writing import CURRENCY, NARROW
from lidr.records.languages import decimal_mark

_MOST = Decimal(10) ** 18  # what is larger is no answer, and its digits would be long

_GUARD = rf"(?<![0-9{CASED}])(?<![0-9][.,'])"
_UNSPACED = (
    rf"(?:[0-9]{{1,3}}(?:[.,'{NARROW}][0-9]{{3}}){{1,5}}(?:[.,][0-9]{{1,9}})?"
    r"|[0-9]{1,18}(?:[.,][0-9]{1,9})?)"
)
_SPACED = r"[0-9]{1,3}(?:[ ][0-9]{3}){1,5}(?:,[0-9]{1,9})?"
# No letter, vowel sign of an Indian script, or digit goes on.
_END = r"(?![^\W_]|[\u0900-\u0963\u0970-\u0dff])"


def _number(lang: str) -> str:
    return f"(?:{_SPACED}|{_UNSPACED})" if decimal_mark(lang) == "," else _UNSPACED


def in_digits(text: str, lang: str) -> str:
    """The text with these numbers in digits."""
    text = _EXPONENT.sub(r"\1", _CODE.sub(r"\1 ", text))
    # Most texts have none of what follows, and each search for it takes long.
    if "^" in text or _E_OR_K.search(text):
        text = _scientific(lang).sub(partial(_without_power_of_ten, lang=lang), text)
        text = _power(lang).sub(partial(_without_power, lang=lang), text)
        text = _thousands(lang).sub(lambda match: written(decimal(match[1], lang) * 1000), text)
        text = _millions(lang).sub(lambda match: written(decimal(match[1], lang) * _LARGE[match[2]]), text)
    if "/" in text:
        text = _mixed(lang).sub(_without_fraction, text)
    if _beside_a_scale(lang).search(text):
        text = _scaled_run(lang).sub(partial(_without_scales, lang=lang), text)
    return text


# --- what is attached to a number ------------------------------------------------------------------------------------

CODES = "USD|EUR|GBP|JPY|CNY|RMB|RUB|CHF|INR|BDT|THB|KES|TZS|US|Rs|R|RM|Ksh|KSh|Tsh|TSh|Tk|kr"
_CODE = re.compile(rf"(?<![A-Za-z])({CODES})(?=[0-9])")
_EXPONENT = re.compile(rf"(?<![{CASED}])(mm|cm|dm|m|km|in|ft|yd|mi|мм|см|дм|м|км)[23](?![0-9{CASED}])")


# --- powers ----------------------------------------------------------------------------------------------------------

_E_OR_K = re.compile("[0-9][eEkKMB]")


@cache
def _scientific(lang: str) -> re.Pattern[str]:
    times_ten = r"[ ]{0,2}[*×·x][ ]{0,2}10\s?\^\s?\+?(?P<power>-?[0-9]{1,2})(?![0-9])"
    return re.compile(rf"{_GUARD}({_number(lang)})(?:[eE]\+?(?P<e>-?[0-9]{{1,2}}){_END}|{times_ten})")


def _without_power_of_ten(match: re.Match[str], lang: str) -> str:
    found = decimal(match[1], lang).scaleb(int(match["e"] or match["power"]))
    return written(found) if found < _MOST else match[0]


@cache
def _power(lang: str) -> re.Pattern[str]:
    return re.compile(rf"{_GUARD}({_number(lang)})\s?\^\s?([0-9]{{1,2}})(?![0-9]|[.,][0-9])")


def _without_power(match: re.Match[str], lang: str) -> str:
    base, exponent = decimal(match[1], lang), int(match[2])
    found = base**exponent if base and len(match[1]) < 10 else _MOST
    return written(found) if found < _MOST else match[0]


@cache
def _thousands(lang: str) -> re.Pattern[str]:
    """'70k', but not the length of a 5k race."""
    return re.compile(rf"{_GUARD}({_number(lang)})[kK](?![0-9{CASED}])(?![ -](?:run|race)s?\b)")


_LARGE = {"M": 10**6, "B": 10**9}


@cache
def _millions(lang: str) -> re.Pattern[str]:
    """'$1.2M'; without a currency it may be a name."""
    return re.compile(rf"(?<=[{CURRENCY}])({_number(lang)})([MB])(?![0-9{CASED}])")


# --- mixed fractions -------------------------------------------------------------------------------------------------


@cache
def _mixed(lang: str) -> re.Pattern[str]:
    link = any_of(word for table in own_and_english(lang) for word in table.mixed)
    return re.compile(
        rf"(?<![0-9{CASED}/.,'])(0|[1-9][0-9]{{0,5}}) (?:{link} )?([0-9]{{1,3}})/([0-9]{{1,3}})(?![0-9]|[/.,:][0-9])"
    )


def _without_fraction(match: re.Match[str]) -> str:
    """'2 1/2' as '2.5'; only a proper fraction makes a mixed one.

    A fraction without an end is rounded as people do it, to two places, but never to a whole number.
    """
    whole, part, parts = (int(group) for group in match.groups())
    if not 0 < part < parts:
        return match[0]
    exact = whole + Decimal(part) / parts
    rounded = round(exact, 2)
    return written(exact if exact == round(exact, 9) or rounded == int(rounded) else rounded)


# --- scale words -----------------------------------------------------------------------------------------------------


@cache
def _scales(lang: str) -> dict[str, int]:
    """Powers of ten by the words behind a number; the language's own meaning of a word comes before English's."""
    return {word.lower(): power for table in reversed(own_and_english(lang)) for word, power in table.scales.items()}


@cache
def _beside_a_scale(lang: str) -> re.Pattern[str]:
    """A digit beside what may be a scale word."""
    before = words(lang).scales_before
    behind = rf"[0-9][ {NARROW}]?{any_of(_scales(lang))}"
    return re.compile(f"{behind}|{any_of(before)} [0-9]" if before else behind, re.IGNORECASE)


@cache
def _scaled(lang: str) -> re.Pattern[str]:
    """One number with the scale words behind it, or the one before it."""
    own, number = words(lang), _number(lang)
    end = _END if own.joined else ""
    scales = rf"(?:[ {NARROW}]?(?!{any_of(own.not_scales)}){any_of(_scales(lang))}{end})"
    behind = rf"{_GUARD}(?P<number>{number})(?P<behind>{scales}+)"
    before = rf"\b(?P<before>{any_of(own.scales_before)})[ ](?P<counted>{number})(?![0-9])"
    return re.compile(rf"(?:{behind}|{before})", re.IGNORECASE)


@cache
def _scaled_run(lang: str) -> re.Pattern[str]:
    """Such numbers one after the other, and what is left below the last scale: '1 lakh 14 thousand 200'."""
    link = re.escape(words(lang).and_)
    gap = rf"[ ](?:{link}[ ])?" if link else "[ ]"
    # A group's name may stand in a pattern only once.
    one = re.sub(r"\?P<\w+>", "?:", _scaled(lang).pattern)
    rest = r"([0-9]{2,7})(?![0-9]|[.,:/][0-9]|[ ]?[*×=+/-])"
    return re.compile(rf"{one}(?:{gap}{one})*(?:{gap}{rest})?", re.IGNORECASE)


def _without_scales(match: re.Match[str], lang: str) -> str:
    sums: list[Decimal] = []
    lowest = 0
    for part in _scaled(lang).finditer(match[0]):
        power = _power_of_ten(part, lang)
        scaled = decimal(part["number"] or part["counted"], lang).scaleb(power)
        if power < lowest:
            sums[-1] += scaled
        else:
            sums.append(scaled)
        lowest = power
    rest = match[1]
    if rest and len(rest) == lowest and rest[0] != "0":
        sums[-1] += int(rest)
    elif rest:
        sums.append(Decimal(rest))
    return " ".join(map(written, sums))


def _power_of_ten(part: re.Match[str], lang: str) -> int:
    if part["before"]:
        return words(lang).scales_before[part["before"].lower()]
    scales = re.findall(any_of(_scales(lang)), part["behind"].lower())
    return sum(_scales(lang)[" ".join(scale.split())] for scale in scales)
