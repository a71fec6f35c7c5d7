"""The repetition filter: whether a text ends in the same words over and over, as models do until their token limit.

    >>> ends_in_repetition("Son 59. " + "No, son 60. " * 8)
    True

Stage `pairs` drops chosen answers that do; the audit counts them on both sides.
"""

from __future__ import annotations

# A tail of eight or more times the same unit of up to 60 characters is no answer.
TIMES, LONGEST_UNIT = 8, 60
# Only the end is searched: an answer can be very long, and a repetition stands at its end.
_END = 600


def ends_in_repetition(text: str) -> bool:
    """Whether the text, with or without the white space at its end, ends in one unit `TIMES` times."""
    # Most texts end in a full stop and hold fewer than eight: they are decided here.
    last = text[-1:]
    if text.count(last, -_END) < TIMES and not last.isspace():
        return False
    tail = text[-_END:]
    ends = range(len(tail.rstrip()), len(tail) + 1)
    return any(_repeats(tail, end) for end in ends if tail.count(tail[end - 1 : end], 0, end) >= TIMES)


def _repeats(tail: str, end: int) -> bool:
    """Whether what stands before `end` ends in one unit `TIMES` times."""
    units = range(1, min(LONGEST_UNIT, end // TIMES) + 1)
    return any(tail.endswith(tail[end - unit : end] * TIMES, 0, end) for unit in units)
