"""Whether a text is stuck in a loop, as models are that go on until their token limit.

    >>> ends_in_loop("Son 59. " + "No, son 60. " * 8)
    True

`pairs` drops chosen answers that are, the audit counts them on both sides.
"""

from __future__ import annotations

# A tail of eight or more times the same text of up to 60 characters is a loop, not an answer.
TIMES, LONGEST_UNIT = 8, 60
# Only the end is searched: a loop is there or nowhere, and an answer can be very long.
_END = 600


def ends_in_loop(text: str) -> bool:
    """Whether the text, with or without the white space at its end, ends in a unit so many times."""
    # Each repetition has the last character: in most answers it is a full stop, and there are fewer.
    last = text[-1:]
    if text.count(last, -_END) < TIMES and not last.isspace():
        return False
    tail = text[-_END:]
    ends = range(len(tail.rstrip()), len(tail) + 1)
    return any(_repeats(tail, end) for end in ends if tail.count(tail[end - 1 : end], 0, end) >= TIMES)


def _repeats(tail: str, end: int) -> bool:
    """Whether what stands before `end` ends in a unit so many times."""
    units = range(1, min(LONGEST_UNIT, end // TIMES) + 1)
    return any(tail.endswith(tail[end - unit : end] * TIMES, 0, end) for unit in units)
