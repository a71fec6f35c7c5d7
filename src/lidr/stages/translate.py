"""Stage `translate`: the model translates its own answers, the dominant ones into every language and back.

    $ lidr translate m1
    translate m1: 2,400 translations in 8 directions, 12 without a closing tag

    data/m1/translations/en-es.jsonl:
    {"id":"lab-0","source_lang":"en","target_lang":"es","text":"El número mayor es 61 ...","finish_reason":"stop",
     "raw":"El número mayor es 61 ...</translated>"}

    data/m1/round_trip.jsonl, a sample of these translations on their way back, for the audit:
    {"id":"lab-0","source_lang":"es","target_lang":"en","text":"The larger number is 61 ...", ...}

An answer that was cut off, is empty or was never begun is not translated: the pairs that need it are dropped with that
reason. Answers to translation requests stand as they are (the paper's published code does the same).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from lidr import config, paths, policy
from lidr.engines.base import Completion, Engine, Request, Sampling, open_engine
from lidr.engines.shards import discard, generate_in_shards
from lidr.errors import InputError
from lidr.jsonl import atomic_folder, read_by_key, write_rows
from lidr.languages import english_name
from lidr.records import FinishReason, Prompt, PromptKind, Response, Translation
from lidr.wording import CLOSING_TAG, OPENING_TAG, translation_conversation

STAGE, ROUND_TRIP = "translate", "round_trip"

Direction = tuple[str, str]


def run(settings: config.Settings, iteration: str) -> dict[Direction, list[Translation]]:
    """Translate all answers of the iteration; returns the translations by (source, target) language."""
    model = policy.resolve(settings.iteration(iteration).previous)
    engine = open_engine(settings.engine, model)
    sampling = Sampling(
        max_new_tokens=settings.translate.max_new_tokens,
        repetition_penalty=settings.translate.repetition_penalty,
        seed=settings.seed,
    )
    wanted = {direction: list(_translatable(iteration, direction[0])) for direction in directions(settings)}
    requests = [_request(settings, r.id, r.text, direction) for direction, rows in wanted.items() for r in rows]
    shards = paths.shards(STAGE, iteration)
    completions = generate_in_shards(
        engine, requests, sampling, shards, settings.engine.rows_per_shard, f"translations by {model.name}"
    )
    translations = {
        direction: [_translation(r.id, direction, completions[_request_id(r.id, direction)]) for r in rows]
        for direction, rows in wanted.items()
    }
    with atomic_folder(paths.translations(iteration)) as folder:
        for (source, target), rows in translations.items():
            write_rows(folder / f"{source}-{target}.jsonl", rows)
    write_rows(paths.round_trip(iteration), _round_trip(settings, iteration, engine, sampling, translations))
    discard(shards)
    return translations


def sampled(translations: Sequence[Translation], count: int) -> list[Translation]:
    """At most `count` readable translations, drawn by the hash of their ids, in their order."""
    readable = [row for row in translations if row.text]
    drawn = {row.id for row in sorted(readable, key=lambda row: sha256(row.id.encode()).digest())[:count]}
    return [row for row in readable if row.id in drawn]


def directions(settings: config.Settings) -> list[Direction]:
    """From the dominant language into each other one, and back."""
    there = [(settings.dominant, lang) for lang in settings.languages]
    return there + [(target, source) for source, target in there]


def parse(raw: str, finish_reason: FinishReason) -> tuple[str | None, tuple[str, ...]]:
    """The translation in a model's raw text, and which departures from the format were accepted.

    The text ends at the first closing tag. Accepted: an opening tag that repeats the primer's; no closing tag where
    the model ended its turn by itself (cut off by the token limit, the text is not whole and stays unparsed).
    """
    tolerated = []
    text = raw
    if text.lstrip().startswith(OPENING_TAG):
        text = text.lstrip().removeprefix(OPENING_TAG)
        tolerated.append("repeated_opening_tag")
    text, tag, _ = text.partition(CLOSING_TAG)
    if not tag:
        if finish_reason is not FinishReason.STOP or not text.strip():
            return None, ()
        tolerated.append("no_closing_tag")
    return text.strip(), tuple(tolerated)


def _round_trip(
    settings: config.Settings,
    iteration: str,
    engine: Engine,
    sampling: Sampling,
    translations: dict[Direction, list[Translation]],
) -> list[Translation]:
    """A sample of the translations, translated back into the language that they come from."""
    back = [
        (row.id, row.text or "", (target, source))
        for (source, target), rows in translations.items()
        for row in sampled(rows, settings.translate.round_trip)
    ]
    shards = paths.shards(ROUND_TRIP, iteration)
    requests = [_request(settings, *row) for row in back]
    completions = generate_in_shards(
        engine, requests, sampling, shards, settings.engine.rows_per_shard, "translations on their way back"
    )
    rows = [_translation(name, direction, completions[_request_id(name, direction)]) for name, _, direction in back]
    discard(shards)
    return rows


def _translatable(iteration: str, lang: str) -> Iterator[Response]:
    prompt_file, response_file = paths.prompt_file(iteration, lang), paths.response_file(iteration, lang)
    prompts = read_by_key(prompt_file, Prompt)
    for number, response in enumerate(read_by_key(response_file, Response).values(), start=1):
        if response.id not in prompts:
            raise InputError(f"no prompt with the id {response.id!r} in {prompt_file}", response_file, number)
        whole = response.finish_reason is FinishReason.STOP and response.text.strip()
        if whole and prompts[response.id].kind is not PromptKind.TRANSLATION:
            yield response


def _request_id(response_id: str, direction: Direction) -> str:
    return f"{response_id}:{direction[0]}:{direction[1]}"


def _request(settings: config.Settings, response_id: str, text: str, direction: Direction) -> Request:
    source, target = direction
    conversation = translation_conversation(
        settings.translate.wording, text, english_name(source), english_name(target)
    )
    return Request(_request_id(response_id, direction), conversation)


def _translation(response_id: str, direction: Direction, completion: Completion) -> Translation:
    text, tolerated = parse(completion.text, completion.finish_reason)
    return Translation(
        id=response_id,
        source_lang=direction[0],
        target_lang=direction[1],
        text=text,
        finish_reason=completion.finish_reason,
        raw=completion.text,
        tolerated=tolerated,
    )
