"""One way to write what languages, scripts and LaTeX write in many, before a number is read out of a text.

    >>> in_one_writing("Er zahlt \\\\(\\\\frac{7}{2}\\\\) von 7万5千, also २४")
    'Er zahlt  7/2  von 75000, also 24'

Digits of all scripts, full-width signs, minus signs, spaces within numbers, LaTeX, bold, calculator marks, myriads,
vulgar fractions ('2½' becomes '2 1/2') and exponents ('2³' becomes '2^3', and 'cm²' and 'CO_2' lose theirs).
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from math import prod

NARROW = "\u202f"  # any space that cannot break, once it is known to stand inside a number
CURRENCY = "$€£¥₹฿₽৳"
_MARKS = str.maketrans(
    {
        "\u2212": "-",  # minus sign
        "\ufe63": "-",  # small hyphen-minus
        "\u2011": "-",  # non-breaking hyphen
        "\u066c": "'",  # Arabic thousands separator
        "\u066b": ".",  # Arabic decimal separator
        "\u2044": "/",  # fraction slash
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
        (r"(?<=[0-9])،(?=[0-9]{3}(?![0-9]))", "'"),  # the Arabic comma
        (r"(?<![0-9A-Za-z])–(?=[0-9])", "-"),
        (r"\\!", ""),
        (r"\{([.,]|\\[,;:])\}", r"\1"),
        (r"(?<=[0-9])(?:\\[,;: ]|~|[\u00a0\u2007-\u200a\u202f\u205f])(?=[0-9]{3}(?![0-9]))", NARROW),
        (r"[\u00a0\u2007-\u200a\u205f]", " "),
        (r"(?<=[0-9])\s*(?=\\[dt]?frac(?![A-Za-z]))", " "),
        (r"\\[dt]?frac\s*(?:\{([^{}]*)\}|([0-9]))\s*(?:\{([^{}]*)\}|([0-9]))", r"\1\2/\3\4"),
        (r"\\(?:text|mathrm|mbox|textbf|mathbf|textit|emph|underline|bm)\s*\{([^{}]*)\}", r"\1"),
        (r"\\(?:times|cdot|ast)(?![A-Za-z])", " * "),
        (r"\\div(?![A-Za-z])", " / "),
        (r"\\approx(?![A-Za-z])", " = "),
        (r"\\([$%&#_])", r"\1"),
        (r"\\[()\[\]]|\\(?:left|right)(?![A-Za-z])", " "),
        # Exponents of units, names and brackets are no numbers; those of numbers are powers.
        (r"(?<=[^\s0-9^])\s?\^\s?(?:\{[+-]?[0-9]+\}|[+-]?[0-9]+)", ""),
        (r"(?<=[0-9])\s?\^\s?\{([+-]?[0-9]+)\}", r"^\1"),
        (r"(?<=[^\W\d_)])_(?:\{[0-9]+\}|[0-9]+)", ""),
        # Bold may part a word and a number.
        (r"(?<=[A-Za-z])(?:\*\*|__)(?=[0-9])", " "),
        # Between two digits the stars are a power, elsewhere they are bold.
        (r"(?<![0-9])(?:\*\*|__)|(?:\*\*|__)(?![0-9])", ""),
        # GSM8K's calculator marks repeat the result that follows; where nothing follows, the result is theirs.
        (r"<<[^<>\n]*>>(?=\s?[" + CURRENCY + r"]?[0-9])", ""),
        (r"<<(?:[^<>\n]*=)?([^<>=\n]*)>>", r"\1"),
    )
]

_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e\u2189]")
_SUPERSCRIPTS = re.compile("[\u207a\u207b]?[\u00b2\u00b3\u00b9\u2070\u2074-\u2079]+")
_FULL_WIDTH = re.compile("[\uff01-\uff5e]")


def in_one_writing(text: str) -> str:
    """The text, with numbers as a program would write them and without what stands around them for the eye."""
    text = unicodedata.normalize("NFC", text)
    text = _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)
    text = _VULGAR.sub(_fraction, text)
    text = _SUPERSCRIPTS.sub(lambda match: "^" + unicodedata.normalize("NFKC", match[0]), text)
    text = text.translate(_MARKS)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _FULL_WIDTH.sub(lambda match: chr(ord(match[0]) - 0xFEE0), text)
    return _MYRIADS.sub(_without_myriads, text)


def _fraction(match: re.Match[str]) -> str:
    """'½' as '1/2', apart from a number before it."""
    is_mixed = match.string[match.start() - 1 : match.start()].isdecimal()
    return " " * is_mixed + unicodedata.normalize("NFKC", match[0])


# --- myriads ---------------------------------------------------------------------------------------------------------

_SMALL = {"百": 10**2, "백": 10**2, "千": 10**3, "천": 10**3}
_LARGE = {"万": 10**4, "萬": 10**4, "만": 10**4, "亿": 10**8, "億": 10**8, "억": 10**8}
_UP_TO_MYRIAD = "[0-9]{1,12}(?:,[0-9]{3})*"
# 千 also begins the names of units (千克, kilogram; 千米, kilometre), 百 percentages and department stores.
_SCALE = f"(?:[{''.join(_LARGE)}백천]|千(?![克米瓦卡焦赫伏帕])|百(?![分货貨]))"
_MYRIAD = rf"(?<![0-9])({_UP_TO_MYRIAD}(?:\.[0-9]{{1,8}})?)\s?({_SCALE}+)"
# Korean sets a space after a scale.
_GAP = r"(?:(?<=[백천만억])\s)?"
_MYRIADS = re.compile(rf"{_MYRIAD}(?:{_GAP}{_MYRIAD})*(?:{_GAP}{_UP_TO_MYRIAD})?")


def _without_myriads(match: re.Match[str]) -> str:
    """'7万5千' as '75000', '3千5百万' as '35000000'."""
    total, section, end = Decimal(0), Decimal(0), 0
    for part in re.finditer(_MYRIAD, match[0]):
        section += Decimal(part[1].replace(",", "")) * prod(_SMALL.get(scale, 1) for scale in part[2])
        large = prod(_LARGE.get(scale, 1) for scale in part[2])
        if large > 1:
            total, section = total + section * large, Decimal(0)
        end = part.end()
    total += section + Decimal(match[0][end:].strip().replace(",", "") or 0)
    return str(int(total)) if total == int(total) else f"{total:f}"
