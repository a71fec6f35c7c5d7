"""In which languages chosen and rejected are written, as identification sees them.

    >>> languages.figures(settings, unsupported=())["es"]["rejected"]
    {'judged': 260, 'unknown': 2, 'off_target': 41, 'found': {'en': 30, 'es': 219, 'pt': 11}}

A text with too few letters is not judged (`unknown`) and never counts as off target.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from lidr.audit.facts import SIDES, Facts


class Languages:
    """Counts identified languages by language and side."""

    def __init__(self) -> None:
        self._found: Counter[tuple[str, str, str | None]] = Counter()
        self._off_target: Counter[tuple[str, str]] = Counter()

    def add(self, facts: Facts) -> None:
        """Count one pair."""
        lang = facts.pair.lang
        for name, side in facts.sides():
            self._found[lang, name, side.found_lang] += 1
            self._off_target[lang, name] += side.off_target

    def merge(self, later: Languages) -> None:
        """Add the counts of the pairs after these."""
        self._found.update(later._found)
        self._off_target.update(later._off_target)

    def figures(self, languages: tuple[str, ...]) -> dict[str, Any]:
        """By language and side: texts judged, off target, and found in which language."""
        return {lang: {side: self._of(lang, side) for side in SIDES} for lang in languages}

    def _of(self, lang: str, side: str) -> dict[str, Any]:
        found = {code: n for (a, b, code), n in self._found.items() if (a, b) == (lang, side)}
        unknown = found.pop(None, 0)
        named = {str(code): found[code] for code in sorted(found, key=str)}
        judged = sum(named.values())
        off_target = self._off_target[lang, side]
        figures: dict[str, Any] = {"judged": judged, "unknown": unknown, "off_target": off_target}
        if judged:
            figures["off_target_share"] = off_target / judged
        return figures | {"found": named}
