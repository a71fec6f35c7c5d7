"""Stage `translate`: answers translated by the model or another translator, from the dominant language and back.

    $ lidr translate m1
    translate m1: 2,400 translations in 8 directions, 12 without a readable translation

    data/m1/translations/en-es.jsonl:
    {"id":"lab-0","source_lang":"en","target_lang":"es","text":"El número mayor es 61 ...","finish_reason":"stop",
     "raw":"El número mayor es 61 ...</translated>"}

    data/m1/round_trip.jsonl, a sample of these translations on their way back, for the audit:
    {"id":"lab-0","source_lang":"es","target_lang":"en","text":"The larger number is 61 ...", ...}

An answer that was cut off, is empty or was never begun is not translated: the pairs that need it are dropped with that
reason. Answers to translation requests are not translated: it would destroy them (docs/method.md: what the authors do).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial

from lidr import config, paths
from lidr.engines.base import Completion, Engine, Request, Sampling, open_engine
from lidr.engines.shards import Shards
from lidr.errors import InputError
from lidr.generation.translator import RECORD, TranslatorRecord, translator
from lidr.records import FinishReason, Prompt, PromptKind, Response, Translation
from lidr.records.draw import drawn
from lidr.records.jsonl import atomic_folder, read_by_key, read_samples, write_json, write_rows
from lidr.records.languages import english_name
from lidr.records.prompt_templates import CLOSING_TAG, OPENING_TAG, translation_conversation

STAGE, ROUND_TRIP = "translate", "round_trip"

Direction = tuple[str, str]

_LEADING_TAGS = re.compile(rf"^(\s*{re.escape(OPENING_TAG)})+")
_FENCE = re.compile(r"```[\w-]*\n(.*?)\n?```", re.DOTALL)


def run(settings: config.Settings, data: str) -> dict[Direction, list[Translation]]:
    """Translate all answers; returns the translations by (source, target) language."""
    settings = settings.of_data(data)
    by = translator(settings, settings.data[data].by)
    sampling = Sampling(
        max_new_tokens=settings.translate.max_new_tokens,
        repetition_penalty=settings.translate.repetition_penalty,
        seed=settings.seed,
    )
    wanted = {direction: list(_translatable(settings, data, direction[0])) for direction in directions(settings)}
    rows_per_shard = settings.engine.rows_per_shard
    shards = Shards(paths.shards(STAGE, data), rows_per_shard)
    shards_back = Shards(paths.shards(ROUND_TRIP, data), rows_per_shard)
    with closing(open_engine(by.engine, by.model)) as engine:
        # Primed, the engine continues a turn that begins with the opening tag.
        ask = partial(_translate, settings, engine, by.engine.continues_turns, sampling)
        done = ask([(row, way) for way, rows in wanted.items() for row in rows], shards, f"translations by {by.name}")
        translations = {way: [done[row.id, way] for row in rows] for way, rows in wanted.items()}
        back = [
            (row, (target, source))
            for (source, target), rows in translations.items()
            for row in sampled(rows, settings.translate.round_trip)
        ]
        returned = ask(back, shards_back, "translations on their way back")
    with atomic_folder(paths.translations(data)) as folder:
        for (source, target), rows in translations.items():
            write_rows(folder / f"{source}-{target}.jsonl", rows)
        if not by.is_own:
            write_json(folder / RECORD, TranslatorRecord(by.name, engine.fingerprint))
    write_rows(paths.round_trip(data), returned.values())
    shards.discard_others()
    shards_back.discard_others()
    return translations


def sampled(translations: Sequence[Translation], count: int) -> list[Translation]:
    """At most `count` readable translations, drawn by the hash of their ids, in their order."""
    readable = [row for row in translations if row.text]
    chosen = drawn((row.id for row in readable), count)
    return [row for row in readable if row.id in chosen]


def directions(settings: config.Settings) -> list[Direction]:
    """From the dominant language into each other one, and back."""
    there = [(settings.dominant, lang) for lang in settings.languages]
    return there + [(target, source) for source, target in there]


def parse(
    raw: str, finish_reason: FinishReason, primed: bool = True, original: str = ""
) -> tuple[str | None, tuple[str, ...]]:
    """The translation in a model's raw text, or None, and which departures from the format were accepted.

    The text stands between the tags; `primed` means that the prompt ended in the opening one, which is then not
    expected. Accepted: opening tags that repeat the primer's; a line or phrase that announces the translation; no
    closing tag where the model ended its turn by itself (cut off by the token limit, the text is not whole and stays
    unparsed); text after the closing tag; a code fence around the whole text that the original does not have.
    """
    before, opened, text, closed, after = _between_tags(raw)
    is_announced = not before.strip() or before.rstrip(" ").endswith((":", "\n"))
    is_whole = closed or (finish_reason is FinishReason.STOP and text.strip())
    if not (opened or primed) or not is_announced or OPENING_TAG in text or not is_whole:
        return None, ()
    fenced = None if _FENCE.fullmatch(original.strip()) else _FENCE.fullmatch(text.strip())
    departures = (
        ("text_before_opening_tag", before.strip()),
        ("repeated_opening_tag", not before.strip() and opened > (0 if primed else 1)),
        ("no_closing_tag", not closed),
        ("text_after_closing_tag", after.strip()),
        ("code_fence", fenced),
    )
    whole = fenced[1] if fenced else text
    return whole.strip(), tuple(name for name, is_there in departures if is_there)


def _between_tags(raw: str) -> tuple[str, int, str, bool, str]:
    """(before, opened, text, closed, after): the text between the tags, after so many opening ones."""
    body, closing_tag, after = raw.partition(CLOSING_TAG)
    before, opening_tag, text = body.partition(OPENING_TAG)
    if not opening_tag:
        return "", 0, body, bool(closing_tag), after
    rest = _LEADING_TAGS.sub("", text)
    opened = 1 + text.count(OPENING_TAG) - rest.count(OPENING_TAG)
    return before, opened, rest, bool(closing_tag), after


def _translate(
    settings: config.Settings,
    engine: Engine,
    primed: bool,
    sampling: Sampling,
    wanted: Sequence[tuple[Response | Translation, Direction]],
    shards: Shards,
    description: str,
) -> dict[tuple[str, Direction], Translation]:
    """Translate texts, each in its direction; by id and direction, in the order in which they are wanted."""
    requests = []
    for row, (source, target) in wanted:
        names = english_name(source), english_name(target)
        turns = translation_conversation(settings.translate.prompt_template, row.text or "", *names, primed)
        requests.append(Request(f"{row.id}:{source}:{target}", turns))
    completions = shards.generate(engine, requests, sampling, description)
    return {
        (row.id, way): _translation(row, way, completions[request.id], primed)
        for (row, way), request in zip(wanted, requests, strict=True)
    }


def _translatable(settings: config.Settings, data: str, lang: str) -> Iterator[Response]:
    """The answers to be translated; none where the rule makes its pairs without translations."""
    if not settings.pairs.reads("translations"):
        return
    prompt_file, response_file = paths.prompt_file(data, lang), paths.response_file(data, lang)
    prompts = read_by_key(prompt_file, Prompt)
    rows = [row for samples in read_samples(response_file).values() for row in samples]
    for number, response in enumerate(rows, start=1):
        if response.sample:
            continue
        if response.id not in prompts:
            raise InputError(f"no prompt with the id {response.id!r} in {prompt_file}", response_file, number)
        whole = response.finish_reason is FinishReason.STOP and response.text.strip()
        if whole and prompts[response.id].kind is not PromptKind.TRANSLATION:
            yield response


def _translation(
    row: Response | Translation, direction: Direction, completion: Completion, primed: bool
) -> Translation:
    text, tolerated = parse(completion.text, completion.finish_reason, primed, row.text or "")
    return Translation(
        id=row.id,
        source_lang=direction[0],
        target_lang=direction[1],
        text=text,
        finish_reason=completion.finish_reason,
        raw=completion.text,
        tolerated=tolerated,
    )
