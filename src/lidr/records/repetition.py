"""The repetition filter: whether a text ends in the same words over and over, as models do until their token limit.

    >>> ends_in_repetition("Son 59. " + "No, son 60. " * 8)
    True
    >>> ends_in_repetition("1/3 = 0.33333333")
    False

Stage `pairs` drops chosen answers that do; the audit counts them on both sides.
"""

from __future__ import annotations

# A tail of eight or more times the same unit of up to 60 characters is no answer.
TIMES, LONGEST_UNIT = 8, 60
# Numbers, rules, rows of tables and laughter repeat for good reasons: of these there must be so many, this long.
MANY, LONG = 20, 100
# Only the end is searched: an answer can be very long, and a repetition stands at its end.
_END = MANY * LONGEST_UNIT


def ends_in_repetition(text: str) -> bool:
    """Whether the text, with or without the white space at its end, ends in one unit often enough."""
    # Most texts end in a full stop and hold fewer than eight: they are decided here.
    last = text[-1:]
    if text.count(last, -_END) < TIMES and not last.isspace():
        return False
    tail = text[-_END:]
    ends = range(len(tail.rstrip()), len(tail) + 1)
    return any(_repeats(tail, end) for end in ends if tail.count(tail[end - 1 : end], 0, end) >= TIMES)


def _repeats(tail: str, end: int) -> bool:
    """Whether what stands before `end` ends in one unit often enough."""
    units = (tail[end - length : end] for length in range(1, min(LONGEST_UNIT, end // TIMES) + 1))
    return any(tail.endswith(unit * TIMES, 0, end) and tail.endswith(unit * _enough(unit), 0, end) for unit in units)


def _enough(unit: str) -> int:
    """How often a unit must stand at the end: less often where it has words, which are of different letters."""
    has_words = len(set(filter(str.isalpha, unit))) > 1 and "|" not in unit
    return TIMES if has_words else max(MANY, -(-LONG // len(unit)))
