"""What is wrong with a text by its look: leftovers of markup, loops, refusals, and pairs that are hardly pairs.

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
from collections import Counter
from typing import Any

from lidr.audit.facts import FLAGS, SIDES, Facts
from lidr.audit.normalise import Comparable, is_similar
from lidr.audit.refusals import PHRASES
from lidr.loops import ends_in_loop

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
    """Whether the text is stuck: a loop at its end, or mostly what it has said before."""
    if ends_in_loop(content.text):
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


class TextQuality:
    """Counts of all these by language and side."""

    def __init__(self) -> None:
        self._pairs: Counter[str] = Counter()
        self._near: Counter[str] = Counter()
        self._found: Counter[tuple[str, str, str]] = Counter()
        self._markers: Counter[str] = Counter()

    def add(self, facts: Facts) -> None:
        """Count one pair."""
        lang = facts.pair.lang
        self._pairs[lang] += 1
        self._near[lang] += facts.near_identical
        for name, side in facts.sides():
            for flag in side.flags:
                self._found[lang, name, flag] += 1
            for marker in side.markers:
                self._markers[marker] += 1

    def merge(self, later: TextQuality) -> None:
        """Add the counts of the pairs after these."""
        self._pairs.update(later._pairs)
        self._near.update(later._near)
        self._found.update(later._found)
        self._markers.update(later._markers)

    def figures(self, languages: tuple[str, ...]) -> dict[str, Any]:
        """How many pairs of each language show what; the markers by name."""
        by_language = {lang: self._of(lang) for lang in languages}
        return {"by_language": by_language, "markers": dict(sorted(self._markers.items()))}

    def _of(self, lang: str) -> dict[str, Any]:
        figures: dict[str, Any] = {"pairs": self._pairs[lang], "near_identical": self._near[lang]}
        for side in SIDES:
            figures[side] = {flag: self._found[lang, side, flag] for flag in FLAGS}
        return figures
