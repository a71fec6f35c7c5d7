"""Properties of single texts by which pairs are dropped: markers, numbers, and a repetition at the end.

    >>> markers("Son 59.</translated>")
    ('</translated>',)
    >>> numbers("1,200 + 3.5"), numbers("3,5 + 1.200")
    (['1200', '35'], ['1200', '35'])
    >>> ends_in_repetition("Son 59. " + "No, son 60. " * 8)
    True
    >>> ends_in_repetition("1/3 = 0.33333333")
    False

The audit counts them on both sides of all pairs.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Tags of the translation request and of reasoning, special tokens of chat templates (`<|im_end|>`, or with DeepSeek's
# full-width bars), and sentences about the translation.
_MARKERS = (
    r"</?translated>",
    r"</?translation>",
    r"</?sentence>",
    r"Translation Error",
    r"Here is the translation",
    r"</?think>",
    r"<[|\uff5c][\w\u2581-]{2,40}[|\uff5c]>",
    r"</?s>",
    r"<(?:start|end)_of_turn>",
    r"\[/?INST\]",
)
_MARKER = re.compile("|".join(_MARKERS), re.IGNORECASE)

# Digits of any script, with marks between them that group or divide.
_MARKS = ".,'’\u00a0\u202f\u066b\u066c"
_NUMBER = re.compile(rf"\d+(?:[{_MARKS}]\d+)*")
_IN_ASCII = re.compile(_NUMBER.pattern, re.ASCII)
_NO_MARKS = str.maketrans("", "", _MARKS)

# A tail of eight or more times the same unit of up to 60 characters is no answer.
_TIMES, _LONGEST_UNIT = 8, 60
# Numbers, rules, rows of tables and laughter repeat for good reasons: of these there must be so many, this long.
_MANY, _LONG = 20, 100
# Only the end is searched: an answer can be very long, and a repetition stands at its end.
_END = _MANY * _LONGEST_UNIT


def markers(text: str) -> tuple[str, ...]:
    """What the pipeline itself may leave in a text: the distinct markers, in lower case."""
    # Each marker has one of these, and most texts have none: the search would take 50 times as long.
    if not ("<" in text or "[" in text or "transl" in text.casefold()):
        return ()
    return tuple(dict.fromkeys(match[0].lower() for match in _MARKER.finditer(text)))


# An answer has translations into several languages.
@lru_cache(maxsize=128)
def numbers(text: str) -> list[str]:
    """The numbers in a text as bare digits, sorted. Marks inside a number are ignored: languages differ about them."""
    found = (_IN_ASCII if text.isascii() else _NUMBER).findall(text)
    return sorted([number if number.isascii() and number.isdecimal() else _bare(number) for number in found])


def _bare(number: str) -> str:
    digits = number.translate(_NO_MARKS)
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)


def ends_in_repetition(text: str) -> bool:
    """Whether the text, with or without the white space at its end, ends in one unit often enough.

    Models repeat the same words until their token limit.
    """
    # Most texts end in a full stop and hold fewer than eight: they are decided here.
    last = text[-1:]
    if text.count(last, -_END) < _TIMES and not last.isspace():
        return False
    tail = text[-_END:]
    ends = range(len(tail.rstrip()), len(tail) + 1)
    return any(_repeats(tail, end) for end in ends if tail.count(tail[end - 1 : end], 0, end) >= _TIMES)


def _repeats(tail: str, end: int) -> bool:
    """Whether what stands before `end` ends in one unit often enough."""
    units = (tail[end - length : end] for length in range(1, min(_LONGEST_UNIT, end // _TIMES) + 1))
    return any(tail.endswith(unit * _TIMES, 0, end) and tail.endswith(unit * _enough(unit), 0, end) for unit in units)


def _enough(unit: str) -> int:
    """How often a unit must stand at the end: less often where it has words, which are of different letters."""
    has_words = len(set(filter(str.isalpha, unit))) > 1 and "|" not in unit
    return _TIMES if has_words else max(_MANY, -(-_LONG // len(unit)))
