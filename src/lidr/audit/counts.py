"""How many rows each step made of the one before, and why pairs were dropped, in numbers that add up.

    >>> counts.figures(settings)["by_direction"]["es:en"]
    {'prompts': 300, 'pairs': 262, 'drops': 38, 'identical': 30, 'truncated': 8}

For every direction, prompts = pairs + drops, and drops = the sum of their reasons. `stories` has checked it prompt by
prompt; the sums are checked here once more, so that no table can say otherwise.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from lidr import config
from lidr.audit.stories import Direction, Story, pair_directions, translation_directions
from lidr.errors import InputError
from lidr.records import DropReason, FinishReason, Response, Translation


class Counts:
    """Counts rows at every step."""

    def __init__(self) -> None:
        self.prompts = 0
        self._golds = 0
        self._answers: Counter[tuple[str, str]] = Counter()
        self._translations: Counter[tuple[Direction, str]] = Counter()
        self._pairs: Counter[Direction] = Counter()
        self._rules: Counter[str] = Counter()
        self._drops: Counter[tuple[Direction, DropReason]] = Counter()

    def add(self, story: Story) -> None:
        """Count one prompt and all that came of it."""
        self.prompts += 1
        self._golds += any(isinstance(prompt.answer, str) for prompt in story.prompts.values())
        for lang, response in story.responses.items():
            for column in _answer_columns(response):
                self._answers[lang, column] += 1
        for direction, translation in story.translations.items():
            for column in _translation_columns(translation):
                self._translations[direction, column] += 1
        for pair in story.pairs:
            self._pairs[pair.lang, pair.other_lang] += 1
            self._rules[pair.rule] += 1
        for drop in story.drops:
            self._drops[(drop.lang, drop.other_lang), drop.reason] += 1

    def merge(self, later: Counts) -> None:
        """Add the counts of the prompts after these."""
        self.prompts += later.prompts
        self._golds += later._golds
        self._answers.update(later._answers)
        self._translations.update(later._translations)
        self._pairs.update(later._pairs)
        self._rules.update(later._rules)
        self._drops.update(later._drops)

    def figures(self, settings: config.Settings) -> dict[str, Any]:
        """All counts; raises InputError where they do not add up."""
        directions = pair_directions(settings)
        pairs, drops = self._pairs.total(), self._drops.total()
        if self.prompts * len(directions) != pairs + drops:
            raise InputError(
                f"{self.prompts:,} prompts x {len(directions)} directions are not {pairs:,} pairs + {drops:,} drops"
            )
        return {
            "prompts": self.prompts,
            "prompts_with_gold": self._golds,
            "directions": len(directions),
            "pairs": pairs,
            "drops": drops,
            "by_reason": self._reasons(directions),
            "by_rule": {str(rule): count for rule, count in sorted(self._rules.items())},
            "by_language": {lang: self._of([d for d in directions if d[0] == lang]) for lang in settings.all_languages},
            "by_direction": {f"{a}:{b}": self._of([(a, b)]) for a, b in directions},
            "answers": {lang: self._answers_in(lang) for lang in settings.all_languages},
            "translations": {f"{a}-{b}": self._translated((a, b)) for a, b in translation_directions(settings)},
        }

    def _of(self, directions: list[Direction]) -> dict[str, int]:
        pairs, reasons = sum(self._pairs[d] for d in directions), self._reasons(directions)
        prompts, drops = self.prompts * len(directions), sum(reasons.values())
        if prompts != pairs + drops:
            raise InputError(f"{directions[0]}: {prompts:,} prompts are not {pairs:,} pairs + {drops:,} drops")
        return {"prompts": prompts, "pairs": pairs, "drops": drops} | reasons

    def _reasons(self, directions: list[Direction]) -> dict[str, int]:
        counts = {reason.value: sum(self._drops[d, reason] for d in directions) for reason in DropReason}
        return {reason: count for reason, count in counts.items() if count}

    def _answers_in(self, lang: str) -> dict[str, int]:
        columns = ("answers", "stop", "length", "refused", "out_of_memory", "empty")
        figures = {column: self._answers[lang, column] for column in columns}
        return {"prompts": self.prompts} | figures | {"missing": self.prompts - figures["answers"]}

    def _translated(self, direction: Direction) -> dict[str, int]:
        names = ("translations", "parsed", "unparsed", "cut_off", "empty", "tolerated")
        figures = {name: self._translations[direction, name] for name in names}
        return {"prompts": self.prompts} | figures | {"not_asked": self.prompts - figures["translations"]}


def _answer_columns(response: Response) -> list[str]:
    empty = ["empty"] if response.finish_reason is FinishReason.STOP and not response.text.strip() else []
    return ["answers", response.finish_reason, *empty]


def _translation_columns(translation: Translation) -> list[str]:
    columns = ["translations", "unparsed" if translation.text is None else "parsed"]
    if translation.finish_reason is FinishReason.LENGTH:
        columns.append("cut_off")
    if translation.text is not None and not translation.text.strip():
        columns.append("empty")
    return columns + ["tolerated"] * bool(translation.tolerated)
