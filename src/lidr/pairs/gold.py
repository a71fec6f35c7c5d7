"""Whether a text is a right answer, by the prompt's gold answer.

The world's own checker judges prompts of the lab; it also requires the right language. For other prompts with a number
as the gold answer (`evaluation.mgsm.golds`), a text is right if it arrives at this number (`evaluation.mgsm.scorers`),
in whatever language. All else is not judged.
"""

from __future__ import annotations

from lidr.evaluation.mgsm.golds import read_gold
from lidr.evaluation.mgsm.scorers import extract_answer
from lidr.records import Prompt, PromptKind

LAB = "lab/"


def is_right(text: str, prompt: Prompt) -> bool | None:
    """Whether a text is a right answer to a prompt in the prompt's language; None where nothing can tell."""
    if not isinstance(prompt.answer, str) or prompt.kind is PromptKind.TRANSLATION:
        return None
    if prompt.source.name.startswith(LAB):
        from lidr.lab.source import quality

        return quality(text, prompt.answer, prompt.lang) == 1.0
    gold = read_gold(prompt.answer, prompt.lang)
    return None if gold is None else extract_answer(text, prompt.lang) == gold
