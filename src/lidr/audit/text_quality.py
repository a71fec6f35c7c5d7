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

from collections import Counter
from typing import TYPE_CHECKING, Any

from lidr.audit.facts import FLAGS, SIDES, columns, within
from lidr.pairs.normalise import Comparable
from lidr.records.repetition import ends_in_repetition

if TYPE_CHECKING:
    from pandas import DataFrame, Series

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


def figures(pairs: DataFrame, languages: tuple[str, ...]) -> dict[str, Any]:
    """How many pairs of each language show what; the markers by name."""
    pairs = columns(pairs, "near_identical", *(f"{side}_{flag}" for side in SIDES for flag in FLAGS))
    found: Counter[str] = Counter()
    for side in SIDES:
        for markers_of_text in pairs.loc[_flagged(pairs, side, "markers"), f"{side}_markers"]:
            found.update(markers_of_text)
    by_language = {lang: _of(within(pairs, lang)) for lang in languages}
    return {"by_language": by_language, "markers": dict(sorted(found.items()))}


def _of(rows: DataFrame) -> dict[str, Any]:
    counts: dict[str, Any] = {"pairs": len(rows), "near_identical": int(rows["near_identical"].sum())}
    for side in SIDES:
        counts[side] = {flag: int(_flagged(rows, side, flag).sum()) for flag in FLAGS}
    return counts


def _flagged(rows: DataFrame, side: str, flag: str) -> Series:
    column = rows[f"{side}_{flag}"]
    return column.list.len() > 0 if flag == "markers" else column
