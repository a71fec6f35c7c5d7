"""Whether a model's translation of its own answer says the same, by direction.

    >>> fidelity.figures(settings)["en-es"]
    {'translations': 298, 'with_numbers': 240, 'numbers_kept': 236, 'numbers_share': 0.983333, ...,
     'with_answer': 240, 'answer_kept': 238, ..., 'world': 298, 'exact': 290, 'exact_share': 0.973154, ...}

Three measures: where the answer holds numbers, whether the translation holds the same ones (each as often, in any
order; marks inside a number are ignored, since languages differ about them); for prompts whose gold answer is a
number, whether the translation arrives at the number that the answer arrives at, right or wrong (`evals.numbers` reads
both, each in its language); and for answers in the lab's world, whether the translation is the exact one, mistakes of
the answer kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from functools import lru_cache
from typing import Any

from lidr import config
from lidr.audit.reward import LAB, gold_number, share
from lidr.audit.stories import Direction, Story, translation_directions
from lidr.evals.numbers import extract_answer
from lidr.records import Prompt

# Digits of any script, with marks between them that group or divide.
_MARKS = ".,'’\u00a0\u202f\u066b\u066c"
_NUMBER = re.compile(rf"\d+(?:[{_MARKS}]\d+)*")
_IN_ASCII = re.compile(_NUMBER.pattern, re.ASCII)
_NO_MARKS = str.maketrans("", "", _MARKS)


# An answer has translations into several languages.
@lru_cache(maxsize=128)
def numbers(text: str) -> list[str]:
    """The numbers in a text as bare digits, sorted: '1,200 + 3.5' gives 1200 and 35, as does '1.200 + 3,5'."""
    found = (_IN_ASCII if text.isascii() else _NUMBER).findall(text)
    return sorted([number if number.isascii() and number.isdecimal() else _bare(number) for number in found])


class Fidelity:
    """Counts faithful translations by direction."""

    def __init__(self) -> None:
        self._counts: dict[Direction, Counter[str]] = defaultdict(Counter)

    def add(self, story: Story) -> None:
        """Compare the translations of one prompt's answers with the answers."""
        for direction, translation in story.translations.items():
            answer = story.responses.get(direction[0])
            if translation.text is None or answer is None:
                continue
            columns = ["translations"]
            expected = numbers(answer.text)
            if expected:
                columns += ["with_numbers"] + ["numbers_kept"] * (numbers(translation.text) == expected)
            columns += _answer_columns(story.prompts[direction[0]], answer.text, translation.text, direction)
            if story.prompts[direction[0]].source.name.startswith(LAB):
                exact = _lab_translation(answer.text, direction)
                if exact is not None:
                    columns += ["world"] + ["exact"] * (translation.text.strip() == exact)
            counts = self._counts[direction]
            for column in columns:
                counts[column] += 1

    def merge(self, later: Fidelity) -> None:
        """Add the counts of the prompts after these."""
        for direction, counts in later._counts.items():
            self._counts[direction].update(counts)

    def figures(self, settings: config.Settings) -> dict[str, Any]:
        """By direction: translations, those with numbers, those that keep them or the answer, those that are exact."""
        confidence = settings.audit.confidence
        return {f"{a}-{b}": self._of((a, b), confidence) for a, b in translation_directions(settings)}

    def _of(self, direction: Direction, confidence: float) -> dict[str, Any]:
        names = ("translations", "with_numbers", "numbers_kept", "with_answer", "answer_kept", "world", "exact")
        counts = {name: self._counts[direction][name] for name in names}
        kept = share(counts["numbers_kept"], counts["with_numbers"], confidence, "numbers_share")
        exact = share(counts["exact"], counts["world"], confidence, "exact_share")
        answer = share(counts["answer_kept"], counts["with_answer"], confidence, "answer_share")
        return counts | kept | answer | exact


def _bare(number: str) -> str:
    digits = number.translate(_NO_MARKS)
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)


def _answer_columns(prompt: Prompt, answer: str, translation: str, direction: Direction) -> list[str]:
    if not isinstance(prompt.answer, str) or gold_number(prompt.answer) is None:
        return []
    said = extract_answer(answer, direction[0])
    if said is None:
        return []
    return ["with_answer"] + ["answer_kept"] * (extract_answer(translation, direction[1]) == said)


def _lab_translation(text: str, direction: Direction) -> str | None:
    from lidr.lab.world import translate_answer

    return translate_answer(text, *direction)
