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
    tail = text[-_END:]
    for end in range(len(tail.rstrip()), len(tail) + 1):
        # Each repetition has the last character: in most answers it is a full stop, and there are fewer.
        if tail.count(tail[end - 1 : end], 0, end) >= TIMES and _repeats(tail, end):
            return True
    return False


def _repeats(tail: str, end: int) -> bool:
    units = range(1, min(LONGEST_UNIT, end // TIMES) + 1)
    return any(tail.endswith(tail[end - unit : end] * TIMES, 0, end) for unit in units)
