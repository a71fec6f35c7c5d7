"""Stage `pairs`: preference pairs from answers and translations, and the reason for each pair that could not be made.

    $ lidr pairs m1
    pairs m1: 2,214 pairs + 186 drops = 300 prompts x 8 directions
      identical 121 · unparsed 65

    data/m1/pairs/pairs.jsonl:
    {"id":"lab-0:es:en","prompt":[{"role":"user","content":"¿Qué número ..."}],"chosen":[...],"rejected":[...],
     "prompt_id":"lab-0","lang":"es","other_lang":"en","rule":"translated_dominant"}
    data/m1/pairs/drops.jsonl:
    {"prompt_id":"lab-1","lang":"en","other_lang":"es","stage":"pairs","reason":"unparsed","detail":"rejected: ..."}

The rule of the paper (section 2.2), for each prompt and each language l beside the dominant language d:
- in l: chosen is the model's translation of its answer in d, rejected its own answer in l;
- in d: chosen is its own answer in d, rejected its translation of its answer in l. One pair for every l.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import Struct

from lidr import config, paths
from lidr.jsonl import atomic_folder, read_by_key, write_rows
from lidr.langid import is_off_target
from lidr.loops import ends_in_loop
from lidr.records import (
    Drop,
    DropReason,
    FinishReason,
    Message,
    Pair,
    PairRule,
    Prompt,
    PromptKind,
    Response,
    Translation,
    pair_id,
)

STAGE = "pairs"


class Candidate(Struct, frozen=True):
    """One side of a pair: its text, or the reason why there is none."""

    text: str = ""
    reason: DropReason | None = None
    detail: str = ""


@dataclass(frozen=True)
class Texts:
    """All that the model wrote in one iteration, by (language or direction, id)."""

    prompts: dict[str, dict[str, Prompt]]
    responses: dict[str, dict[str, Response]]
    translations: dict[tuple[str, str], dict[str, Translation]]


def run(settings: config.Settings, iteration: str) -> tuple[list[Pair], list[Drop]]:
    """Write pairs and drops of the iteration, in prompt order, and return them."""
    pairs, drops = make(settings, read_texts(settings, iteration))
    with atomic_folder(paths.pairs(iteration)) as folder:
        write_rows(folder / paths.PAIRS, pairs)
        write_rows(folder / paths.DROPS, drops)
    return pairs, drops


def read_texts(settings: config.Settings, iteration: str) -> Texts:
    """Read prompts, responses and translations of an iteration, by id."""
    others = [(settings.dominant, lang) for lang in settings.languages]
    return Texts(
        prompts={lang: read_by_key(paths.prompt_file(iteration, lang), Prompt) for lang in settings.all_languages},
        responses={
            lang: read_by_key(paths.response_file(iteration, lang), Response) for lang in settings.all_languages
        },
        translations={
            (a, b): read_by_key(paths.translation_file(iteration, a, b), Translation, may_be_empty=True)
            for source, target in others
            for a, b in ((source, target), (target, source))
        },
    )


def make(settings: config.Settings, texts: Texts) -> tuple[list[Pair], list[Drop]]:
    """A pair or a drop for each prompt and direction: len(pairs) + len(drops) = prompts x 2 x languages, always."""
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for prompt in texts.prompts[settings.dominant].values():
        for lang, other_lang, rule, chosen, rejected in _sides(settings, texts, prompt):
            drop = _drop(settings, prompt.id, lang, other_lang, chosen, rejected)
            if drop is not None:
                drops.append(drop)
            else:
                text = texts.prompts[lang][prompt.id].text
                pairs.append(_pair(prompt.id, text, lang, other_lang, rule, chosen.text, rejected.text))
    return pairs, drops


def _sides(
    settings: config.Settings, texts: Texts, prompt: Prompt
) -> Iterator[tuple[str, str, PairRule, Candidate, Candidate]]:
    """(language, other language, rule, chosen, rejected) in all directions of one prompt."""
    dominant = settings.dominant
    own_dominant = _own(texts, dominant, prompt.id)
    for lang in settings.languages:
        own = _own(texts, lang, prompt.id)
        if prompt.kind is PromptKind.TRANSLATION:
            yield lang, dominant, PairRule.UNTRANSLATED, own_dominant, own
            yield dominant, lang, PairRule.UNTRANSLATED, own_dominant, own
        else:
            there = _translated(texts, (dominant, lang), prompt.id, own_dominant)
            back = _translated(texts, (lang, dominant), prompt.id, own)
            yield lang, dominant, PairRule.TRANSLATED_DOMINANT, there, own
            yield dominant, lang, PairRule.OWN_DOMINANT, own_dominant, back


def _own(texts: Texts, lang: str, prompt_id: str) -> Candidate:
    if prompt_id not in texts.prompts[lang]:
        return Candidate(reason=DropReason.MISSING, detail=f"no prompt in {lang}")
    response = texts.responses[lang].get(prompt_id)
    if response is None:
        return Candidate(reason=DropReason.MISSING, detail=f"no answer in {lang}")
    return _whole(response.text, response.finish_reason, f"the answer in {lang}")


def _translated(texts: Texts, direction: tuple[str, str], prompt_id: str, original: Candidate) -> Candidate:
    if original.reason is not None:
        return original
    source, target = direction
    translation = texts.translations[direction].get(prompt_id)
    if translation is None:
        return Candidate(reason=DropReason.MISSING, detail=f"no translation from {source} to {target}")
    what = f"the translation from {source} to {target}"
    if translation.text is None and translation.finish_reason is FinishReason.STOP:
        return Candidate(reason=DropReason.UNPARSED, detail=f"{what} has no closing tag")
    return _whole(translation.text or "", translation.finish_reason, what, parsed=translation.text is not None)


def _whole(text: str, finish_reason: FinishReason, what: str, parsed: bool = False) -> Candidate:
    """A candidate, unless the text was refused, cut off (a parsed translation is whole all the same) or is empty."""
    if finish_reason is FinishReason.REFUSED:
        return Candidate(reason=DropReason.REFUSED, detail=f"{what}: the request does not fit the model's context")
    if finish_reason is FinishReason.OUT_OF_MEMORY:
        return Candidate(
            reason=DropReason.OUT_OF_MEMORY, detail=f"{what}: the request does not fit the device's memory"
        )
    if finish_reason is FinishReason.LENGTH and not parsed:
        return Candidate(reason=DropReason.TRUNCATED, detail=f"{what} was cut off at the token limit")
    if not text.strip():
        return Candidate(reason=DropReason.EMPTY, detail=f"{what} is empty")
    return Candidate(text=text)


def _drop(
    settings: config.Settings, prompt_id: str, lang: str, other_lang: str, chosen: Candidate, rejected: Candidate
) -> Drop | None:
    reason, detail = _reason(settings, lang, chosen, rejected)
    if reason is None:
        return None
    return Drop(prompt_id=prompt_id, lang=lang, other_lang=other_lang, stage=STAGE, reason=reason, detail=detail)


def _reason(
    settings: config.Settings, lang: str, chosen: Candidate, rejected: Candidate
) -> tuple[DropReason | None, str]:
    """The first reason, in a fixed order, why these two sides make no pair."""
    for side, candidate in (("chosen", chosen), ("rejected", rejected)):
        if candidate.reason is not None:
            return candidate.reason, f"{side}: {candidate.detail}"
    if chosen.text.strip() == rejected.text.strip():
        return DropReason.IDENTICAL, "chosen and rejected are the same text"
    if settings.pairs.drop_repeated and ends_in_loop(chosen.text):
        return DropReason.REPEATED, "chosen: the answer ends in a loop"
    if settings.pairs.drop_off_target and is_off_target(chosen.text, lang, settings.all_languages):
        return DropReason.OFF_TARGET, f"chosen: not in {lang}"
    return None, ""


def _pair(prompt_id: str, prompt: str, lang: str, other_lang: str, rule: PairRule, chosen: str, rejected: str) -> Pair:
    return Pair(
        id=pair_id(prompt_id, lang, other_lang),
        prompt=(Message(role="user", content=prompt),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        prompt_id=prompt_id,
        lang=lang,
        other_lang=other_lang,
        rule=rule,
    )
