"""What is wrong with a text by its look: leftovers of markup, repetitions, refusals, and pairs that are hardly pairs.

    >>> markers("Son 59.</translated>")
    ('</translated>',)
    >>> is_refusal(comparable("I'm sorry, but I can't help with that."))
    True

- Markers: tags of the translation request, special tokens of chat templates, and sentences about the translation
  (`MARKERS`), wherever they stand.
- Repeated: the text ends in eight or more times the same up to 60 characters, or, from 20 words on, half of its
  4-grams of words have been there before.
- Refusals: the text begins with a phrase of `refusals.PHRASES`, in any language.
- Near-identical: chosen and rejected are similar (`normalise.is_similar`) by `NEAR_IDENTICAL` or more. Such pairs
  are not wrong (one digit may decide), but DPO is known to lower the likelihood of both sides where they are many.
"""

from __future__ import annotations

import re

from lidr.audit.normalise import Comparable, is_similar
from lidr.audit.refusals import PHRASES
from lidr.records.repetition import ends_in_repetition

NEAR_IDENTICAL = 0.9

MARKERS = (
    r"</?translated>",
    r"</?translation>",
    r"</?sentence>",
    r"Translation Error",
    r"Here is the translation",
    r"<\|[a-z_]{2,30}\|>",
    r"</?s>",
    r"<(?:start|end)_of_turn>",
    r"\[/?INST\]",
)

_MARKER = re.compile("|".join(MARKERS), re.IGNORECASE)
_FEWEST_WORDS, _REPEATED_SHARE, _REPEATED_NGRAM = 20, 0.5, 4
_OPENING = 120


def markers(text: str) -> tuple[str, ...]:
    """The distinct markers in a text, in lower case."""
    # Each marker has one of these, and most texts have none.
    if not ("<" in text or "[" in text or "transl" in text.casefold()):
        return ()
    return tuple(dict.fromkeys(match[0].lower() for match in _MARKER.finditer(text)))


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


def is_refusal(content: Comparable) -> bool:
    """Whether the text begins by declining to answer."""
    opening = content.folded[:_OPENING].replace("’", "'").lstrip("¡¿\"'«„“ ")
    return opening.startswith(PHRASES)


def near_identical(first: Comparable, second: Comparable) -> bool:
    """Whether two texts are all but the same."""
    return is_similar(first, second, NEAR_IDENTICAL)
