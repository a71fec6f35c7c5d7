"""Which rows the two sides of a pair are made of: the rule of the paper (section 2.2).

    >>> sides(PromptKind.TASK, "es", "en", dominant="en").chosen.name("lab-0")
    'translation:lab-0:en-es'

For each prompt and each language l beside the dominant language d:
- in l: chosen is the model's translation of its answer in d, rejected its own answer in l;
- in d: chosen is its own answer in d, rejected its translation of its answer in l. One pair for every l.
A prompt that asks for a translation itself is not translated: its answer in d is chosen over its answer in l, in both.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from lidr.records import PairRule, PromptKind


class Origin(NamedTuple):
    """A kind of row: the own answer in `lang`, or the translation into it of the answer in `source`."""

    lang: str
    source: str | None = None

    def name(self, prompt_id: str) -> str:
        """The row of one prompt, as `Pair.chosen_from` and `Pair.rejected_from` have it."""
        return (
            response_name(prompt_id, self.lang)
            if self.source is None
            else translation_name(prompt_id, self.source, self.lang)
        )


class Sides(NamedTuple):
    """The rule of a pair, and the rows whose texts are its chosen and rejected answer."""

    rule: PairRule
    chosen: Origin
    rejected: Origin


@cache
def sides(kind: PromptKind, lang: str, other_lang: str, dominant: str) -> Sides:
    """What a pair in `lang` that compares with `other_lang` is made of; one of the two is the dominant language."""
    own, translated = Origin(lang), Origin(lang, source=other_lang)
    if kind is PromptKind.TRANSLATION:
        other = other_lang if lang == dominant else lang
        return Sides(PairRule.UNTRANSLATED, Origin(dominant), Origin(other))
    if lang == dominant:
        return Sides(PairRule.OWN_DOMINANT, own, translated)
    return Sides(PairRule.TRANSLATED_DOMINANT, translated, own)


def response_name(prompt_id: str, lang: str) -> str:
    """The row of `prompt_id` in responses/`lang`.jsonl."""
    return f"response:{prompt_id}:{lang}"


def translation_name(prompt_id: str, source: str, target: str) -> str:
    """The row of `prompt_id` in translations/`source`-`target`.jsonl."""
    return f"translation:{prompt_id}:{source}-{target}"
