"""Stage `pairs`: preference pairs from answers and translations, and the reason for each pair that could not be made.

    $ lidr pairs m1
    pairs m1: 2,214 pairs + 186 drops = 300 prompts x 8 directions
      identical 121 · unparsed 65

    data/m1/pairs/pairs.jsonl:
    {"id":"lab-0:es:en","prompt":[{"role":"user","content":"¿Qué número ..."}],"chosen":[...],"rejected":[...],
     "prompt_id":"lab-0","lang":"es","other_lang":"en","rule":"translated_dominant",
     "chosen_from":"translation:lab-0:en-es","rejected_from":"response:lab-0:es"}
    data/m1/pairs/drops.jsonl:
    {"prompt_id":"lab-1","lang":"en","other_lang":"es","stage":"pairs","reason":"unparsed","detail":"rejected: ..."}

`lidr.pairs.rules` says which rows make a pair. Rows are joined by id, in memory, whatever their order in the files;
pairs and drops are written in the order of the dominant language's prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

import msgspec

from lidr import config, paths
from lidr.errors import naming
from lidr.pairs.rules import Origin, Sides, sides
from lidr.progress import bar
from lidr.records import Drop, DropReason, FinishReason, Message, Pair, Prompt, Response, Translation, pair_id
from lidr.records.jsonl import as_lines, atomic_file, atomic_folder, read_by_key
from lidr.records.langid import is_off_target
from lidr.records.repetition import ends_in_repetition

STAGE = "pairs"
# Prompts whose pairs are written at once.
_CHUNK = 1_000


class Rejection(NamedTuple):
    """Why one side of a pair has no text, or why two sides make no pair."""

    reason: DropReason
    detail: str


@dataclass(frozen=True)
class Texts:
    """What the model wrote in one iteration, by (language or direction, id)."""

    prompts: dict[str, dict[str, Prompt]]
    responses: dict[str, dict[str, Response]]
    translations: dict[tuple[str, str], dict[str, Translation]]


@dataclass(frozen=True)
class Counts:
    """How many pairs were made, and how many were not, by reason."""

    pairs: int = 0
    drops: Counter[str] = field(default_factory=Counter)


def run(settings: config.Settings, iteration: str) -> Counts:
    """Write pairs and drops of the iteration, in prompt order, and count them."""
    settings = msgspec.structs.replace(settings, pairs=settings.pairs_for(iteration))
    texts = read_texts(settings, iteration)
    prompts = len(texts.prompts[settings.dominant])
    pair_count, reasons = 0, Counter[str]()
    with (
        bar(f"pairs {iteration}", prompts, "prompt") as advance,
        atomic_folder(paths.pairs(iteration)) as folder,
        atomic_file(folder / paths.PAIRS) as pairs_file,
        atomic_file(folder / paths.DROPS) as drops_file,
    ):
        for chunk in _chunks(settings, texts):
            pairs, drops = make(settings, chunk)
            with naming(folder / paths.PAIRS):
                pairs_file.write(as_lines(pairs))
            with naming(folder / paths.DROPS):
                drops_file.write(as_lines(drops))
            pair_count += len(pairs)
            reasons.update(drop.reason.value for drop in drops)
            advance(len(chunk.prompts[settings.dominant]))
    return Counts(pair_count, reasons)


def read_texts(settings: config.Settings, iteration: str) -> Texts:
    """Read prompts, responses and translations of an iteration, by id."""
    there_and_back = [((settings.dominant, lang), (lang, settings.dominant)) for lang in settings.languages]
    return Texts(
        prompts={lang: read_by_key(paths.prompt_file(iteration, lang), Prompt) for lang in settings.all_languages},
        responses={
            lang: read_by_key(paths.response_file(iteration, lang), Response) for lang in settings.all_languages
        },
        translations={
            (source, target): read_by_key(
                paths.translation_file(iteration, source, target), Translation, may_be_empty=True
            )
            for directions in there_and_back
            for source, target in directions
        },
    )


def make(settings: config.Settings, texts: Texts) -> tuple[list[Pair], list[Drop]]:
    """A pair or a drop for each prompt and direction: len(pairs) + len(drops) = prompts x 2 x languages, always."""
    pairs: list[Pair] = []
    drops: list[Drop] = []
    dominant = settings.dominant
    directions = [pair for lang in settings.languages for pair in ((lang, dominant), (dominant, lang))]
    for prompt in texts.prompts[dominant].values():
        for lang, other_lang in directions:
            made_from = sides(prompt.kind, lang, other_lang, dominant)
            chosen = _text(texts, prompt.id, made_from.chosen)
            rejected = _text(texts, prompt.id, made_from.rejected)
            if isinstance(chosen, Rejection):
                drops.append(_drop(prompt.id, lang, other_lang, chosen.reason, f"chosen: {chosen.detail}"))
            elif isinstance(rejected, Rejection):
                drops.append(_drop(prompt.id, lang, other_lang, rejected.reason, f"rejected: {rejected.detail}"))
            elif (filtered := _filtered(settings, lang, chosen, rejected)) is not None:
                drops.append(_drop(prompt.id, lang, other_lang, *filtered))
            else:
                asked = texts.prompts[lang][prompt.id].text
                pairs.append(_pair(prompt.id, asked, lang, other_lang, made_from, chosen, rejected))
    return pairs, drops


def _chunks(settings: config.Settings, texts: Texts) -> Iterator[Texts]:
    """The same texts with some of the dominant language's prompts at a time."""
    prompts = iter(texts.prompts[settings.dominant].items())
    while chunk := dict(islice(prompts, _CHUNK)):
        yield replace(texts, prompts=texts.prompts | {settings.dominant: chunk})


def _text(texts: Texts, prompt_id: str, origin: Origin) -> str | Rejection:
    """The text of a row, or why it has none that a pair could be made of."""
    if origin.source is None:
        return _own(texts, origin.lang, prompt_id)
    original = _own(texts, origin.source, prompt_id)
    return original if isinstance(original, Rejection) else _translated(texts, origin.source, origin.lang, prompt_id)


def _own(texts: Texts, lang: str, prompt_id: str) -> str | Rejection:
    if prompt_id not in texts.prompts[lang]:
        return Rejection(DropReason.MISSING, f"no prompt in {lang}")
    response = texts.responses[lang].get(prompt_id)
    if response is None:
        return Rejection(DropReason.MISSING, f"no answer in {lang}")
    return _whole(response.text, response.finish_reason, f"the answer in {lang}")


def _translated(texts: Texts, source: str, target: str, prompt_id: str) -> str | Rejection:
    translation = texts.translations[source, target].get(prompt_id)
    if translation is None:
        return Rejection(DropReason.MISSING, f"no translation from {source} to {target}")
    what = f"the translation from {source} to {target}"
    if translation.text is None and translation.finish_reason is FinishReason.STOP:
        return Rejection(DropReason.UNPARSED, f"{what} has no closing tag")
    return _whole(translation.text or "", translation.finish_reason, what, parsed=translation.text is not None)


def _whole(text: str, finish_reason: FinishReason, what: str, parsed: bool = False) -> str | Rejection:
    """The text, unless it was refused, cut off (a parsed translation is whole all the same) or is empty."""
    if finish_reason is FinishReason.REFUSED:
        return Rejection(DropReason.REFUSED, f"{what}: the request does not fit the model's context")
    if finish_reason is FinishReason.OUT_OF_MEMORY:
        return Rejection(DropReason.OUT_OF_MEMORY, f"{what}: the request does not fit the device's memory")
    if finish_reason is FinishReason.LENGTH and not parsed:
        return Rejection(DropReason.TRUNCATED, f"{what} was cut off at the token limit")
    return text if text.strip() else Rejection(DropReason.EMPTY, f"{what} is empty")


def _filtered(settings: config.Settings, lang: str, chosen: str, rejected: str) -> Rejection | None:
    """The first reason, in a fixed order, why these two texts make no pair."""
    if chosen.strip() == rejected.strip():
        return Rejection(DropReason.IDENTICAL, "chosen and rejected are the same text")
    if settings.pairs.drop_repeated and ends_in_repetition(chosen):
        return Rejection(DropReason.REPEATED, "chosen: the answer ends in a loop")
    if settings.pairs.drop_off_target and is_off_target(chosen, lang, settings.all_languages):
        return Rejection(DropReason.OFF_TARGET, f"chosen: not in {lang}")
    return None


def _drop(prompt_id: str, lang: str, other_lang: str, reason: DropReason, detail: str) -> Drop:
    return Drop(prompt_id=prompt_id, lang=lang, other_lang=other_lang, stage=STAGE, reason=reason, detail=detail)


def _pair(
    prompt_id: str, prompt: str, lang: str, other_lang: str, made_from: Sides, chosen: str, rejected: str
) -> Pair:
    return Pair(
        id=pair_id(prompt_id, lang, other_lang),
        prompt=(Message(role="user", content=prompt),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        prompt_id=prompt_id,
        lang=lang,
        other_lang=other_lang,
        rule=made_from.rule,
        chosen_from=made_from.chosen.name(prompt_id),
        rejected_from=made_from.rejected.name(prompt_id),
    )
