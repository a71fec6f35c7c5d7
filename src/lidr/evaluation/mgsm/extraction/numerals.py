"""One number in a text: its pattern and its value, by language.

    >>> match = numeral("de").search("Das sind -80.000,5 Euro")
    >>> value(match, "de")
    Decimal('-80000.5')

Both separators present: the later one is the decimal mark. One separator before groups of exactly three digits:
thousands, except a lone '.' in a language whose decimal mark is a dot. A digit in a name ('CO2', 'm2', 'x1') is no
number.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache

from lidr.evaluation.mgsm.extraction.writing import CURRENCY, NARROW
from lidr.records.languages import decimal_mark

# Letters of scripts that set spaces between words; the signs for times and divided by stand among them.
CASED = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0400-\u04ff"
# A digit behind a short word or a capital; '9x2' and '9X2' are products.
_NO_NAME = rf"(?<!\b[{CASED}])(?<!\b[{CASED}]{{2}})(?<!\b[{CASED}]{{3}})(?<![A-WYZ])(?<![A-Z][a-z])"


@cache
def numeral(lang: str) -> re.Pattern[str]:
    """One number: an optional sign and currency, the `digits` with their separators, an optional `divisor`."""
    # With a decimal comma, thousands are set with spaces too; elsewhere '80 000' is one number only because no number
    # of its own begins with 0.
    spaced = "" if decimal_mark(lang) == "," else r"[0-9]{1,3}[ ]0[0-9]{2}(?:[ ][0-9]{3})*(?![0-9])|"
    groups = rf"[.,'{NARROW} ]" if decimal_mark(lang) == "," else rf"[.,'{NARROW}]"
    return re.compile(
        rf"""
        (?:(?<![0-9{CASED})\]}}%])(?<![0-9)\]}}%][ ])(?P<sign>-)[{CURRENCY}]?)?
        (?<![0-9]){_NO_NAME}
        (?P<digits>
            [0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}}(?:\.[0-9]+)?(?![0-9])       # Indian groups
          | (?<![0-9][.,])[0-9]{{1,3}}(?:(?P<mark>{groups})[0-9]{{3}})(?:(?P=mark)[0-9]{{3}})*
            (?:(?!(?P=mark))[.,][0-9]+)?(?![0-9])
          | {spaced}
            (?<![0-9][.,])[0-9]+[.,][0-9]+(?![.,]?[0-9])         # decimals; '3,4,5' are three numbers
          | (?<![0-9.,'{CASED})\]}}])\.[0-9]+(?![.,]?[0-9])             # '.5'
          | [0-9]+
        )
        (?:/(?P<divisor>[0-9]+)(?![/.,]?[0-9]))?
        """,
        re.VERBOSE,
    )


def value(match: re.Match[str], lang: str) -> Decimal:
    """The value of a match of `numeral`."""
    digits, divisor, sign = match.group("digits", "divisor", "sign")
    found = decimal(digits, lang)
    if divisor and int(divisor):
        found /= int(divisor)
    return -found if sign else found


_SEPARATOR = re.compile(rf"['{NARROW} ]")


def decimal(digits: str, lang: str) -> Decimal:
    """The value of digits with separators, as the language would have them read."""
    if digits.isdecimal():
        return Decimal(digits)
    bare = _SEPARATOR.sub("", digits)
    if bare.startswith("."):
        return Decimal(f"0{bare}")
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


def written(number: Decimal) -> str:
    """The number in digits that `numeral` reads back in every language."""
    if number == int(number):
        return str(int(number))
    text = f"{number:f}"
    # Three digits behind a dot are a group in some languages.
    return text + "0" * (len(text.partition(".")[2]) == 3)
