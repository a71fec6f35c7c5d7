"""Gold answers of data sets: the number that a text stands for.

    >>> read_gold("2,125", "de"), read_gold("70.000", "de"), read_gold("1,5", "de")
    (Decimal('2125.0'), Decimal('70000.0'), Decimal('1.5'))
    >>> read_gold("She earns 9 * 2 = 18 dollars.\\n#### $18", "en"), read_gold("70.000", "en")
    (Decimal('18.0'), None)

A comma before three digits groups thousands in every language, as in the files of MGSM, which write golds in one way
for all. A dot groups them where the language has a decimal comma; where the dot is the decimal mark, '70.000' may be 70
or 70000, and a gold is never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache

from lidr.records.languages import decimal_mark

_SPACES = " \u00a0\u2009\u202f"
# No group begins with 0: 0.125 is a fraction.
_GROUPED = re.compile(
    rf"(?P<whole>-?(?!0)\d{{1,3}}(?P<mark>[.,{_SPACES}])\d{{3}}(?:(?P=mark)\d{{3}})*)"
    r"(?:(?!(?P=mark))(?P<decimal>[.,])(?P<fraction>\d+))?"
)
_INDIAN = re.compile(r"(?P<whole>-?\d{1,2}(?:,\d{2})+,\d{3})(?:(?P<decimal>\.)(?P<fraction>\d+))?")
_PLAIN = re.compile(r"(?P<whole>-?\d+)(?:(?P<decimal>[.,])(?P<fraction>\d+))?")


# The pairs of a prompt share its gold answer.
@lru_cache(maxsize=128)
def read_gold(text: str, lang: str) -> Decimal | None:
    """The number in a gold answer, what stands before `####` left out; None where it is none, or may be two."""
    number = _in_ascii_digits(text.rpartition("####")[2])
    mark = decimal_mark(lang)
    if (found := _GROUPED.fullmatch(number)) and found["mark"] == "." == mark and number.count(".") == 1:
        return None
    found = found or _INDIAN.fullmatch(number)
    # A dot is the mark of numbers that a program wrote, in whatever language.
    if not found and (found := _PLAIN.fullmatch(number)) and found["decimal"] not in (None, ".", mark):
        return None
    if not found:
        return None
    return Decimal(f"{re.sub(rf'[.,{_SPACES}]', '', found['whole'])}.{found['fraction'] or 0}")


def _in_ascii_digits(text: str) -> str:
    """The text with digits of all scripts as 0 to 9, without a currency sign before or after it."""
    digits = "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in text.strip())
    for place in (0, -1):
        if digits and unicodedata.category(digits[place]) == "Sc":
            digits = digits[1:] if place == 0 else digits[:-1]
    return digits.strip().replace("\u2212", "-")
