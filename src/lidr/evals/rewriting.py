"""One way to write what languages, scripts and LaTeX write in many, before a number is read out of a text.

    >>> in_one_writing("Er zahlt \\\\(\\\\frac{7}{2}\\\\) von 7万5千, also २४")
    'Er zahlt  7/2  von 75000, also 24'

Digits of all scripts, full-width signs, minus signs, spaces within numbers, LaTeX, bold, calculator marks and myriads.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

NARROW = "\u202f"  # any space that cannot break, once it is known to stand inside a number
CURRENCY = "$€£¥₹฿₽৳"
_MARKS = str.maketrans(
    {
        "\u2212": "-",  # minus sign
        "\ufe63": "-",  # small hyphen-minus
        "\u2011": "-",  # non-breaking hyphen
        "\u066c": "'",  # Arabic thousands separator
        "\u066b": ".",  # Arabic decimal separator
        "\u2019": "'",  # the apostrophe that Swiss thousands are set with
        "\u3000": " ",
        "\u200b": None,  # zero width space, word joiner, byte order mark
        "\u2060": None,
        "\ufeff": None,
    }
)

_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # A full-width comma ends a clause, unless just the digits of a group follow.
        (r"(?<=[0-9])，(?![0-9]{3}(?![0-9]))", ", "),
        (r"(?<![0-9A-Za-z])–(?=[0-9])", "-"),
        (r"\\!", ""),
        (r"\{([.,]|\\[,;:])\}", r"\1"),
        (r"(?<=[0-9])(?:\\[,;: ]|~|[\u00a0\u2007-\u200a\u202f\u205f])(?=[0-9]{3}(?![0-9]))", NARROW),
        (r"[\u00a0\u2007-\u200a\u205f]", " "),
        (r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2"),
        (r"\\(?:text|mathrm|mbox|textbf|mathbf|textit|emph|underline|bm)\s*\{([^{}]*)\}", r"\1"),
        (r"\\(?:times|cdot|ast)(?![A-Za-z])", " * "),
        (r"\\div(?![A-Za-z])", " / "),
        (r"\\approx(?![A-Za-z])", " = "),
        (r"\\([$%&#_])", r"\1"),
        (r"\\[()\[\]]|\\(?:left|right)(?![A-Za-z])", " "),
        # Between two digits the stars are a power, elsewhere they are bold.
        (r"(?<![0-9])(?:\*\*|__)|(?:\*\*|__)(?![0-9])", ""),
        # GSM8K's calculator marks repeat the result that follows; where nothing follows, the result is theirs.
        (r"<<[^<>\n]*>>(?=\s?[" + CURRENCY + r"]?[0-9])", ""),
        (r"<<(?:[^<>\n]*=)?([^<>=\n]*)>>", r"\1"),
    )
]


# Each rewrite needs one of these, and most texts have none.
_REWRITTEN = re.compile(r"[，–\\{~\u00a0\u2007-\u200a\u202f\u205f]|\*\*|__|<<")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_FULL_WIDTH = re.compile("[\uff01-\uff5e]")
# All of it, the other digits, `_MARKS`, full width and `_SCALES` are among these, found in one look. What is usual is
# the rest of ASCII, the letters and signs of European languages, and the dashes and quotation marks that books have.
_UNUSUAL = re.compile(r"[^\x00-)+-;=-\[\]^`-z|}\x7f\u00a1-\u024f\u0400-\u04ff\u2014\u2015\u2018\u201a-\u2027]")


def in_one_writing(text: str) -> str:
    """The text, with numbers as a program would write them and without what stands around them for the eye."""
    text = unicodedata.normalize("NFC", text)
    return _rewritten(text) if _UNUSUAL.search(text) else text


def _rewritten(text: str) -> str:
    text = _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)
    text = text.translate(_MARKS)
    if _REWRITTEN.search(text):
        for pattern, replacement in _REWRITES:
            text = pattern.sub(replacement, text)
    text = _FULL_WIDTH.sub(lambda match: chr(ord(match[0]) - 0xFEE0), text)
    return _MYRIADS.sub(_without_myriads, text)


_SCALES = {"千": 10**3, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
# 千 also begins the names of units (千克, kilogram; 千米, kilometre).
_UP_TO_MYRIAD = "[0-9]{1,12}(?:,[0-9]{3})*"
_MYRIAD = rf"(?<![0-9])({_UP_TO_MYRIAD}(?:\.[0-9]{{1,8}})?)\s?([千万萬亿億]+)(?![克米瓦卡焦赫伏帕])"
_MYRIADS = re.compile(rf"(?:{_MYRIAD})+(?:{_UP_TO_MYRIAD})?")


def _without_myriads(match: re.Match[str]) -> str:
    """'7万5千' as '75000'."""
    total, end = Decimal(0), 0
    for part in re.finditer(_MYRIAD, match[0]):
        value = Decimal(part[1].replace(",", ""))
        for scale in part[2]:
            value *= _SCALES[scale]
        total, end = total + value, part.end()
    total += Decimal(match[0][end:].replace(",", "") or 0)
    return str(int(total)) if total == int(total) else f"{total:f}"
