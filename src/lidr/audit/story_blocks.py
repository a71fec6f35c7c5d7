"""The stories of an iteration a block at a time, from files that stand in prompt order: many rows are read at once.

    >>> for block in files(settings, "m1"):
    ...     for story in stories(settings, "m1", block): ...

What is read is what `stories.read` reads, and each story is checked in the same way. Where files are not in order, or
anything is not as it should be, NotInOrderError says no more than that: `stories.read` tells what is wrong, and where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from lidr import config, paths
from lidr.audit.stories import Story, check, translation_directions
from lidr.errors import InputError
from lidr.jsonl import RecordT
from lidr.records import Drop, Pair, Prompt, Response, Translation
from lidr.side_by_side import NotInOrderError, SideBySide, Stretch, id_in_line, rows, rows_by_id

KeyT = TypeVar("KeyT")
MadeT = TypeVar("MadeT", Pair, Drop)

# Bytes of the dominant prompts in a block, of which a process holds all rows: a hundred short prompts.
BLOCK = 1 << 14


def files(settings: config.Settings, iteration: str) -> SideBySide:
    """The files of an iteration, to be cut where blocks of prompts end."""
    pairs, drops = paths.pairs(iteration) / paths.PAIRS, paths.pairs(iteration) / paths.DROPS
    others = [
        *(paths.prompt_file(iteration, lang) for lang in settings.languages),
        *(paths.response_file(iteration, lang) for lang in settings.all_languages),
        *(paths.translation_file(iteration, *direction) for direction in translation_directions(settings)),
        pairs,
        drops,
    ]
    # An empty file is one without rows: no drops, say.
    present = [path for path in others if not path.is_file() or path.stat().st_size]
    id_in = {pairs: _prompt_id_in_pair, drops: _prompt_id_in_drop}
    return SideBySide(paths.prompt_file(iteration, settings.dominant), present, id_in, BLOCK)


def stories(settings: config.Settings, iteration: str, block: Sequence[Stretch]) -> list[Story]:
    """The stories of a block, each checked; raises NotInOrderError where `stories.read` would raise another error."""
    stretches = {stretch.path: stretch for stretch in block}
    ids = list(rows_by_id(block[0], Prompt))

    def by_id(path: Path, record: type[RecordT]) -> dict[str, RecordT]:
        found = rows_by_id(stretches[path], record) if path in stretches else {}
        _check_order(found, ids)
        return found

    def by_prompt(name: str, record: type[MadeT]) -> dict[str, tuple[MadeT, ...]]:
        path = paths.pairs(iteration) / name
        found = rows(stretches[path], record) if path in stretches else []
        groups = [(prompt_id, tuple(group)) for prompt_id, group in groupby(found, key=lambda row: row.prompt_id)]
        _check_order((prompt_id for prompt_id, _ in groups), ids)
        return dict(groups)

    prompts = {lang: by_id(paths.prompt_file(iteration, lang), Prompt) for lang in settings.all_languages}
    responses = {lang: by_id(paths.response_file(iteration, lang), Response) for lang in settings.all_languages}
    translations = {
        direction: by_id(paths.translation_file(iteration, *direction), Translation)
        for direction in translation_directions(settings)
    }
    pairs, drops = by_prompt(paths.PAIRS, Pair), by_prompt(paths.DROPS, Drop)
    if any(len(found) < len(ids) for found in prompts.values()):
        raise NotInOrderError  # a prompt is not there in each language
    made = [
        Story(
            id=name,
            prompts=_present(prompts, name),
            responses=_present(responses, name),
            translations=_present(translations, name),
            pairs=pairs.get(name, ()),
            drops=drops.get(name, ()),
        )
        for name in ids
    ]
    try:
        for story in made:
            check(settings, iteration, story)
    except InputError as error:
        raise NotInOrderError from error
    return made


def _check_order(found: Iterable[str], ids: Sequence[str]) -> None:
    """Each of the ids once at most, in their order, and no other."""
    order = list(found)
    there = set(order)
    if order != [name for name in ids if name in there]:
        raise NotInOrderError


def _present(tables: Mapping[KeyT, Mapping[str, RecordT]], name: str) -> dict[KeyT, RecordT]:
    return {key: rows[name] for key, rows in tables.items() if name in rows}


def _prompt_id_in_pair(line: bytes) -> bytes:
    """Of a pair's id, which goes on with two languages."""
    return id_in_line(line).rsplit(b":", 2)[0]


def _prompt_id_in_drop(line: bytes) -> bytes:
    return id_in_line(line).replace(b'{"prompt_id":', b'{"id":', 1)
