"""The lab as a source of prompts, evaluation items and verdicts, as the pipeline's records.

>>> prompts("evaluation", "es", count=1, seed=42, kinds=PROBLEMS)
{'lab-0': Prompt(id='lab-0', lang='es', text='Hay 11 manzanas ...', ..., answer='22')}
"""

from __future__ import annotations

from lidr.lab import world
from lidr.lab.world import INSTRUCTIONS, KINDS, PROBLEMS
from lidr.records import Prompt, PromptKind, Source

__all__ = ["INSTRUCTIONS", "KINDS", "PROBLEMS", "prompts", "quality"]


def prompts(
    split: str, lang: str, count: int, seed: int, skip: int = 0, kinds: tuple[str, ...] = KINDS
) -> dict[str, Prompt]:
    """`count` prompts of a split by id; an id is the same task in every language."""
    rows = {}
    for row, task in enumerate(world.tasks(split, kinds, count, seed, skip), start=skip):
        prompt = Prompt(
            id=f"lab-{row}",
            lang=lang,
            text=task.prompt(lang),
            source=Source(name=f"lab/{split}", row=row),
            kind=PromptKind.TASK,
            answer=task.gold(lang),
        )
        rows[prompt.id] = prompt
    return rows


def quality(completion: str, gold: str, lang: str) -> float:
    """The quality of an answer: 1 if right in the prompt's language, 0.5 if right in another language, else 0.

    An answer that fits no template, or has another result than the gold answer, is wrong.
    """
    parsed = world.parse_answer(completion, lang) or world.identify(completion)
    if parsed is None or parsed.gold(lang) != gold:
        return 0.0
    return 1.0 if parsed.lang == lang else 0.5
