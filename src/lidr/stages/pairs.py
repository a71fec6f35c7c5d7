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

Rows are joined by id. Files in prompt order, as the stages before write them, are joined a block of prompts at a time,
on all cores, and memory does not grow with them; files in any other order are joined in memory. The bytes are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from lidr import config, paths
from lidr.copies import cores_for_copies
from lidr.errors import naming
from lidr.jsonl import RecordT, as_lines, atomic_file, atomic_folder, read_by_key
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
    Record,
    Response,
    Translation,
    pair_id,
)
from lidr.side_by_side import BLOCK, NotInOrderError, SideBySide, Stretch, rows_by_id
from lidr.turns import in_turns

STAGE = "pairs"
# With fewer than few blocks copies of this process would come too late; with fewer than many, so would a bar.
_FEW_BLOCKS, _MANY_BLOCKS = 5, 500
# The value itself, which the enumeration would look up anew for each text of millions.
_STOP = FinishReason.STOP
# Prompts whose pairs are made at once where all rows are in memory.
_CHUNK = 1_000


class Flaw(NamedTuple):
    """Why one side of a pair has no text, or why two sides make no pair."""

    reason: DropReason
    detail: str


Side = str | Flaw


@dataclass(frozen=True)
class Texts:
    """What the model wrote in one iteration, or on a block of its prompts, by (language or direction, id)."""

    prompts: dict[str, dict[str, Prompt]]
    responses: dict[str, dict[str, Response]]
    translations: dict[tuple[str, str], dict[str, Translation]]


@dataclass(frozen=True)
class Counts:
    """How many pairs were made, and how many were not, by reason."""

    pairs: int = 0
    drops: Counter[str] = field(default_factory=Counter)


class Lines(NamedTuple):
    """What some prompts put into both files, and how many pairs and drops that is."""

    pairs: bytes
    drops: bytes
    pair_count: int
    reasons: Counter[str]


class Reader(Protocol):
    """How the rows of a file are read, by id."""

    def __call__(self, path: Path, record: type[RecordT], *, may_be_empty: bool = False) -> dict[str, RecordT]: ...


def run(settings: config.Settings, iteration: str) -> Counts:
    """Write pairs and drops of the iteration, in prompt order, and count them."""
    try:
        files = SideBySide(*_inputs(settings, iteration))
        return _write(iteration, partial(_block_by_block, settings, iteration, files))
    except NotInOrderError:
        texts = read_texts(settings, iteration)
        return _write(iteration, partial(_all_at_once, settings, texts))


def read_texts(settings: config.Settings, iteration: str, read: Reader = read_by_key) -> Texts:
    """Read prompts, responses and translations of an iteration, by id."""
    return Texts(
        prompts={lang: read(paths.prompt_file(iteration, lang), Prompt) for lang in settings.all_languages},
        responses={lang: read(paths.response_file(iteration, lang), Response) for lang in settings.all_languages},
        translations={
            (source, target): read(paths.translation_file(iteration, source, target), Translation, may_be_empty=True)
            for source, target in _translation_directions(settings)
        },
    )


def make(settings: config.Settings, texts: Texts) -> tuple[list[Pair], list[Drop]]:
    """A pair or a drop for each prompt and direction: len(pairs) + len(drops) = prompts x 2 x languages, always."""
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for prompt in texts.prompts[settings.dominant].values():
        for lang, other_lang, rule, chosen, rejected in _sides(settings, texts, prompt):
            flaw = _flaw(settings, lang, chosen, rejected)
            if flaw is not None:
                drops.append(_drop(prompt.id, lang, other_lang, flaw))
            else:
                asked = texts.prompts[lang][prompt.id].text
                pairs.append(_pair(prompt.id, asked, lang, other_lang, rule, chosen, rejected))
    return pairs, drops


def _sides(settings: config.Settings, texts: Texts, prompt: Prompt) -> Iterator[tuple[str, str, PairRule, Side, Side]]:
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


def _own(texts: Texts, lang: str, prompt_id: str) -> Side:
    if prompt_id not in texts.prompts[lang]:
        return Flaw(DropReason.MISSING, f"no prompt in {lang}")
    response = texts.responses[lang].get(prompt_id)
    if response is None:
        return Flaw(DropReason.MISSING, f"no answer in {lang}")
    if response.finish_reason is _STOP and response.text.strip():
        return response.text  # as most are; what is said of the others is not put together for these
    return _whole(response.text, response.finish_reason, f"the answer in {lang}")


def _translated(texts: Texts, direction: tuple[str, str], prompt_id: str, original: Side) -> Side:
    if isinstance(original, Flaw):
        return original
    source, target = direction
    translation = texts.translations[direction].get(prompt_id)
    if translation is None:
        return Flaw(DropReason.MISSING, f"no translation from {source} to {target}")
    if translation.finish_reason is _STOP and translation.text and translation.text.strip():
        return translation.text
    what = f"the translation from {source} to {target}"
    if translation.text is None and translation.finish_reason is _STOP:
        return Flaw(DropReason.UNPARSED, f"{what} has no closing tag")
    return _whole(translation.text or "", translation.finish_reason, what, parsed=translation.text is not None)


def _whole(text: str, finish_reason: FinishReason, what: str, parsed: bool = False) -> Side:
    """The text, unless it was refused, cut off (a parsed translation is whole all the same) or is empty."""
    if finish_reason is FinishReason.REFUSED:
        return Flaw(DropReason.REFUSED, f"{what}: the request does not fit the model's context")
    if finish_reason is FinishReason.OUT_OF_MEMORY:
        return Flaw(DropReason.OUT_OF_MEMORY, f"{what}: the request does not fit the device's memory")
    if finish_reason is FinishReason.LENGTH and not parsed:
        return Flaw(DropReason.TRUNCATED, f"{what} was cut off at the token limit")
    return text if text.strip() else Flaw(DropReason.EMPTY, f"{what} is empty")


def _flaw(settings: config.Settings, lang: str, chosen: Side, rejected: Side) -> Flaw | None:
    """The first reason, in a fixed order, why these two sides make no pair."""
    if isinstance(chosen, Flaw):
        return Flaw(chosen.reason, f"chosen: {chosen.detail}")
    if isinstance(rejected, Flaw):
        return Flaw(rejected.reason, f"rejected: {rejected.detail}")
    if chosen.strip() == rejected.strip():
        return Flaw(DropReason.IDENTICAL, "chosen and rejected are the same text")
    if settings.pairs.drop_repeated and ends_in_loop(chosen):
        return Flaw(DropReason.REPEATED, "chosen: the answer ends in a loop")
    if settings.pairs.drop_off_target and is_off_target(chosen, lang, settings.all_languages):
        return Flaw(DropReason.OFF_TARGET, f"chosen: not in {lang}")
    return None


def _drop(prompt_id: str, lang: str, other_lang: str, flaw: Flaw) -> Drop:
    return Drop(
        prompt_id=prompt_id,
        lang=lang,
        other_lang=other_lang,
        stage=STAGE,
        reason=flaw.reason,
        detail=flaw.detail,
    )


def _pair(
    prompt_id: str, prompt: str, lang: str, other_lang: str, rule: PairRule, chosen: Side, rejected: Side
) -> Pair:
    assert isinstance(chosen, str) and isinstance(rejected, str)
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


def _write(iteration: str, join: Callable[[_Outputs], Counts]) -> Counts:
    """Both files, whole or not at all."""
    with (
        atomic_folder(paths.pairs(iteration)) as folder,
        atomic_file(folder / paths.PAIRS) as pairs,
        atomic_file(folder / paths.DROPS) as drops,
    ):
        return join(_Outputs(folder, pairs, drops))


def _block_by_block(settings: config.Settings, iteration: str, files: SideBySide, outputs: _Outputs) -> Counts:
    """Write from files in prompt order; raises NotInOrderError at the first block that shows that one is not."""

    def lines(block: list[Stretch]) -> Lines:
        return _lines(settings, _texts_of_block(settings, iteration, block))

    if files.size < _FEW_BLOCKS * BLOCK:
        return reduce(outputs.append, map(lines, files), Counts())

    processes = cores_for_copies()
    with _progress(settings, iteration, files) as report:
        return in_turns(processes, files.evenly(processes), lines, outputs.append, Counts(), report)


@contextmanager
def _progress(settings: config.Settings, iteration: str, files: SideBySide) -> Iterator[Callable[[Counts], None]]:
    """A bar that is told how many pairs and drops there are by now; none for what takes no longer than loading it."""
    if files.size < _MANY_BLOCKS * BLOCK:
        yield lambda counts: None
        return

    from lidr.progress import bar

    with paths.prompt_file(iteration, settings.dominant).open("rb") as file:
        total = sum(1 for _ in file)
    with bar(f"pairs {iteration}", total, "prompt") as advance:
        done = 0

        def report(counts: Counts) -> None:
            nonlocal done
            prompts = (counts.pairs + counts.drops.total()) // (2 * len(settings.languages))
            advance(prompts - done)
            done = prompts

        yield report


def _all_at_once(settings: config.Settings, texts: Texts, outputs: _Outputs) -> Counts:
    """Write from rows that are all in memory."""
    prompts, counts = iter(texts.prompts[settings.dominant].items()), Counts()
    while chunk := dict(islice(prompts, _CHUNK)):
        part = replace(texts, prompts=texts.prompts | {settings.dominant: chunk})
        counts = outputs.append(counts, _lines(settings, part))
    return counts


def _texts_of_block(settings: config.Settings, iteration: str, block: Iterable[Stretch]) -> Texts:
    stretches = {stretch.path: stretch for stretch in block}

    def read(path: Path, record: type[RecordT], *, may_be_empty: bool = False) -> dict[str, RecordT]:
        return rows_by_id(stretches[path], record)

    texts = read_texts(settings, iteration, read)
    ids = texts.prompts[settings.dominant].keys()
    files: list[Mapping[str, Record]] = [
        *texts.prompts.values(),
        *texts.responses.values(),
        *texts.translations.values(),
    ]
    if not all(rows.keys() <= ids for rows in files):
        raise NotInOrderError
    return texts


def _lines(settings: config.Settings, texts: Texts) -> Lines:
    pairs, drops = make(settings, texts)
    reasons = Counter(drop.reason.value for drop in drops)
    return Lines(as_lines(pairs), as_lines(drops), len(pairs), reasons)


class _Outputs:
    """Both files, open to be written; what one process writes follows what another one wrote."""

    def __init__(self, folder: Path, pairs: IO[bytes], drops: IO[bytes]) -> None:
        self._files = ((folder / paths.PAIRS, pairs), (folder / paths.DROPS, drops))

    def append(self, counts: Counts, lines: Lines) -> Counts:
        """Write the lines, and count them."""
        for (path, file), rows in zip(self._files, (lines.pairs, lines.drops), strict=True):
            with naming(path):
                file.write(rows)
                file.flush()
        return Counts(counts.pairs + lines.pair_count, counts.drops + lines.reasons)


def _inputs(settings: config.Settings, iteration: str) -> tuple[Path, list[Path]]:
    """The file of all prompts, and those beside it."""
    return paths.prompt_file(iteration, settings.dominant), [
        *(paths.prompt_file(iteration, lang) for lang in settings.languages),
        *(paths.response_file(iteration, lang) for lang in settings.all_languages),
        *(paths.translation_file(iteration, *direction) for direction in _translation_directions(settings)),
    ]


def _translation_directions(settings: config.Settings) -> list[tuple[str, str]]:
    there_and_back = [((settings.dominant, lang), (lang, settings.dominant)) for lang in settings.languages]
    return [direction for pair in there_and_back for direction in pair]
