"""Whether a model's translation of its own answer says the same, by direction.

    >>> figures(frame, settings)["en-es"]
    {'translations': 298, 'with_numbers': 240, 'numbers_kept': 236, 'numbers_share': 0.983333, ...,
     'with_answer': 240, 'answer_kept': 238, ..., 'world': 298, 'exact': 290, 'exact_share': 0.973154, ...}

Three measures: where the answer holds numbers, whether the translation holds the same ones (each as often, in any
order; marks inside a number are ignored, since languages differ about them); for prompts whose gold answer is a number,
whether the translation arrives at the number that the answer arrives at, right or wrong (`evaluation.mgsm.numbers`
reads both, each in its language); and for answers in the lab's world, whether the translation is the exact one,
mistakes of the answer kept.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit.examples import Direction, translation_directions
from lidr.audit.facts import columns, within
from lidr.audit.reward import share
from lidr.evaluation.mgsm.numbers import extract_answer
from lidr.pairs.gold import LAB, gold_number
from lidr.pairs.numbers import numbers
from lidr.records import Prompt

if TYPE_CHECKING:
    from pandas import DataFrame


def compare(prompt: Prompt, answer: str, translation: str, direction: Direction) -> dict[str, bool]:
    """What a translation keeps of its answer, as far as it can be told, as columns of the facts table."""
    found = {}
    expected = numbers(answer)
    if expected:
        found["translation_numbers_kept"] = numbers(translation) == expected
    said = _said(prompt, answer, direction[0])
    if said is not None:
        found["translation_answer_kept"] = extract_answer(translation, direction[1]) == said
    if prompt.source.name.startswith(LAB):
        exact = _lab_translation(answer, direction)
        if exact is not None:
            found["translation_exact"] = translation.strip() == exact
    return found


def figures(frame: DataFrame, settings: config.Settings) -> dict[str, Any]:
    """By direction: translations, those with numbers, those that keep them or the answer, those that are exact."""
    frame, confidence = columns(frame, "translation_"), settings.audit.confidence
    return {f"{a}-{b}": _of(within(frame, b, a), confidence) for a, b in translation_directions(settings)}


def _of(rows: DataFrame, confidence: float) -> dict[str, Any]:
    measures = {
        "numbers": ("with_numbers", "numbers_kept"),
        "answer": ("with_answer", "answer_kept"),
        "exact": ("world", "exact"),
    }
    counts: dict[str, Any] = {"translations": int(rows["translation_compared"].sum())}
    shares: dict[str, float] = {}
    for name, (measured, kept) in measures.items():
        column = rows[f"translation_{kept}"]
        counts |= {measured: int(column.notna().sum()), kept: int(column.sum())}
        shares |= share(counts[kept], counts[measured], confidence, f"{name}_share")
    return counts | shares


def _said(prompt: Prompt, answer: str, lang: str) -> Decimal | None:
    """The number that an answer arrives at, where the gold answer is a number."""
    if not isinstance(prompt.answer, str) or gold_number(prompt.answer) is None:
        return None
    return extract_answer(answer, lang)


def _lab_translation(text: str, direction: Direction) -> str | None:
    from lidr.lab.world import translate_answer

    return translate_answer(text, *direction)
