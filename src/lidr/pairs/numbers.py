"""The numbers in a text, to see whether a translation has kept them.

    >>> numbers("1,200 + 3.5"), numbers("3,5 + 1.200")
    (['1200', '35'], ['1200', '35'])

Marks inside a number are ignored, since languages differ about them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Digits of any script, with marks between them that group or divide.
_MARKS = ".,'’\u00a0\u202f\u066b\u066c"
_NUMBER = re.compile(rf"\d+(?:[{_MARKS}]\d+)*")
_IN_ASCII = re.compile(_NUMBER.pattern, re.ASCII)
_NO_MARKS = str.maketrans("", "", _MARKS)


# An answer has translations into several languages.
@lru_cache(maxsize=128)
def numbers(text: str) -> list[str]:
    """The numbers in a text as bare digits, sorted: '1,200 + 3.5' gives 1200 and 35, as does '1.200 + 3,5'."""
    found = (_IN_ASCII if text.isascii() else _NUMBER).findall(text)
    return sorted([number if number.isascii() and number.isdecimal() else _bare(number) for number in found])


def _bare(number: str) -> str:
    digits = number.translate(_NO_MARKS)
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)
