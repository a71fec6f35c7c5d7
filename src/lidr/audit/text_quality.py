"""What is wrong with a text by its look: leftovers of markup, repetitions, refusals, and pairs that are hardly pairs.

    >>> figures(pairs, ("es",))["by_language"]["es"]["chosen"]
    {'truncated': 0, 'repeated': 2, 'markers': 1, 'refusal': 0}

- Markers: what `pairs.markers` finds, wherever it stands.
- Repeated: the text ends in eight or more times the same up to 60 characters, or, from 20 words on, half of its
  4-grams of words have been there before.
- Refusals: the text begins with a phrase of `pairs.refusals.PHRASES`, in any language.
- Near-identical: chosen and rejected are similar by `pairs.normalise.NEAR_IDENTICAL` or more. Such pairs are not wrong
  (one digit may decide), but DPO is known to lower the likelihood of both sides where they are many.
"""

from __future__ import annotations

from lidr.pairs.normalise import Comparable
from lidr.records.repetition import ends_in_repetition

_FEWEST_WORDS, _REPEATED_SHARE, _REPEATED_NGRAM = 20, 0.5, 4


def is_repeated(content: Comparable) -> bool:
    """Whether the text is stuck: a repetition at its end, or mostly what it has said before."""
    if ends_in_repetition(content.text):
        return True
    if len(content.words) < _FEWEST_WORDS:
        return False
    n = _REPEATED_NGRAM
    count = len(content.words) - n + 1
    distinct = len({tuple(content.words[i : i + n]) for i in range(count)})
    return 1 - distinct / count >= _REPEATED_SHARE
