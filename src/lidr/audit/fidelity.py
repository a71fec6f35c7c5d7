"""Translation fidelity: whether a translation says the same as its answer, on the way there and on the way back.

On the way there:
- whether it holds the numbers of the answer, each as often, in any order; marks inside a number are ignored, since
  languages differ about them;
- for prompts whose gold answer is a number, whether it arrives at the answer's number, right or wrong
  (`evaluation.mgsm.scorers` reads both, each in its language);
- for answers in the lab's world, whether it is the exact translation, mistakes of the answer kept.

On the way back: chrF of the round trip. It needs no reference translation, and it has a blind spot: a loss on the way
back looks like one on the way there, and a copied text comes back whole.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lidr.audit.examples import Direction
from lidr.evaluation.mgsm.golds import read_gold
from lidr.evaluation.mgsm.scorers import extract_answer
from lidr.pairs.gold import LAB
from lidr.pairs.properties import numbers
from lidr.records import Prompt


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
        from lidr.lab.world import translate_answer

        exact = translate_answer(answer, *direction)
        if exact is not None:
            found["translation_exact"] = translation.strip() == exact
    return found


def compare_back(answer: str, back: str | None) -> dict[str, Any]:
    """What of an answer came back when its translation was translated back, as columns of the facts table."""
    if back is None:
        return {"round_trip_parsed": False}
    return {
        "round_trip_parsed": True,
        "round_trip_same": back.strip() == answer.strip(),
        "round_trip_chrf": chrf(back, answer),
    }


def chrf(text: str, reference: str) -> float:
    """Character n-gram F-score of one text, 0 to 100 (M. Popović, WMT 2015), by sacrebleu's default signature."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().sentence_score(text, [reference]).score)


def _said(prompt: Prompt, answer: str, lang: str) -> Decimal | None:
    """The number that an answer arrives at, where the gold answer is a number."""
    if not isinstance(prompt.answer, str) or read_gold(prompt.answer, prompt.lang) is None:
        return None
    return extract_answer(answer, lang)
