"""In which languages chosen and rejected are written, as identification sees them.

    >>> figures(pairs, ("es",))["es"]["rejected"]
    {'judged': 260, 'unknown': 2, 'off_target': 41, 'off_target_share': 0.157692, 'sentences': 544,
     'other_sentences': 81, 'other_sentences_share': 0.148897, 'found': {'en': 30, 'es': 219, 'pt': 11}}

A text with too few letters is not judged (`unknown`) and never counts as off target. Sentences are judged one by one as
well (`records.code_switching`), which sees a sentence of English in a Spanish text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lidr.audit.facts import SIDES, columns, within

if TYPE_CHECKING:
    from pandas import DataFrame


def figures(pairs: DataFrame, languages: tuple[str, ...]) -> dict[str, Any]:
    """By language and side: texts judged, off target, and found in which language."""
    pairs = columns(
        pairs, *(f"{side}_{name}" for side in SIDES for name in ("lang", "off_target", "sentences", "other_sentences"))
    )
    by_language = {lang: within(pairs, lang) for lang in languages}
    return {lang: {side: _of(rows, side) for side in SIDES} for lang, rows in by_language.items()}


def _of(rows: DataFrame, side: str) -> dict[str, Any]:
    found = rows[f"{side}_lang"].value_counts().sort_index()
    judged, off_target = int(found.sum()), int(rows[f"{side}_off_target"].sum())
    counts: dict[str, Any] = {"judged": judged, "unknown": len(rows) - judged, "off_target": off_target}
    if judged:
        counts["off_target_share"] = off_target / judged
    counts |= {name: int(rows[f"{side}_{name}"].sum()) for name in ("sentences", "other_sentences")}
    if counts["sentences"]:
        counts["other_sentences_share"] = counts["other_sentences"] / counts["sentences"]
    return counts | {"found": found.to_dict()}
