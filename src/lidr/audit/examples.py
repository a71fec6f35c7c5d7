"""The examples of an iteration: each prompt with its answers, translations, pairs and drops, by the prompt's id.

All rows are read into memory and joined by id. A row that belongs to no prompt, rows in another order than the prompts,
a prompt without its pair or drop, or a pair whose text is not that of the row that it names, is an `InputError` that
says which.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from lidr import config, paths
from lidr.errors import InputError
from lidr.pairs import rules
from lidr.pairs import stage as pairs_stage
from lidr.records import (
    Drop,
    Message,
    Pair,
    Prompt,
    Response,
    Score,
    Translation,
    pair_id,
    response_name,
    translation_name,
)
from lidr.records.jsonl import read_by_key, read_rows

Direction = tuple[str, str]
RowT = TypeVar("RowT", Pair, Drop)


@dataclass(frozen=True)
class Example:
    """One prompt in all languages, the answers, their translations by (source, target), and the pairs and drops.

    `samples` are all answers, of which `responses` are the first, and `scores` theirs where the rule compares them.
    `back` holds the round-trip translations, by the direction of the way there.
    """

    id: str
    prompts: dict[str, Prompt]
    responses: dict[str, Response]
    translations: dict[Direction, Translation]
    back: dict[Direction, Translation]
    pairs: tuple[Pair, ...]
    drops: tuple[Drop, ...]
    samples: dict[str, tuple[Response, ...]]
    scores: dict[str, tuple[Score, ...]]

    @property
    def outcomes(self) -> tuple[Pair | Drop, ...]:
        """One for each direction of a pair."""
        return (*self.pairs, *self.drops)

    @cached_property
    def rows(self) -> dict[str, Response | Translation]:
        """Answers and translations by name, as pairs name the rows that they are made of."""
        answers = {response_name(self.id, lang, row.sample): row for lang, rows in self.samples.items() for row in rows}
        return answers | {translation_name(self.id, *direction): row for direction, row in self.translations.items()}


class Examples:
    """All examples of an iteration by the prompt's id; `ids` are in the order of the dominant language's prompts.

    The rows are checked against the prompts at once, each example when it is asked for.
    """

    def __init__(self, settings: config.Settings, iteration: str) -> None:
        settings = settings.of_iteration(iteration)
        self._settings, self._data = settings, settings.iteration(iteration).data
        self.texts = pairs_stage.read_texts(settings, iteration)
        self._prompts = self.texts.prompts[settings.dominant]
        self._pairs_file, self._drops_file = (paths.pairs(iteration) / name for name in (paths.PAIRS, paths.DROPS))
        self._pairs, self._drops = _by_prompt(self._pairs_file, Pair), _by_prompt(self._drops_file, Drop)
        self._back = read_by_key(paths.round_trip(self._data), Translation, _sent_back, may_be_empty=True)
        places = {name: place for place, name in enumerate(self._prompts)}
        for path, rows in self._files().items():
            _expect_order(path, rows, places)
        for row in self._back.values():
            if row.id not in self.texts.translations.get((row.target_lang, row.source_lang), {}):
                problem = f"a row of {row.id!r}: there is no translation {row.target_lang}-{row.source_lang} of it"
                raise InputError(problem, paths.round_trip(self._data))

    @property
    def ids(self) -> list[str]:
        return list(self._prompts)

    def __contains__(self, prompt_id: str) -> bool:
        return prompt_id in self._prompts

    def __getitem__(self, prompt_id: str) -> Example:
        texts, scored = self.texts, self._settings.pairs.reads("scores")
        for lang, rows in texts.prompts.items():
            if prompt_id not in rows:
                first = paths.prompt_file(self._data, self._settings.dominant)
                problem = f"no prompt {prompt_id!r} here; the prompts of {first} are expected"
                raise InputError(problem, paths.prompt_file(self._data, lang))
        example = Example(
            id=prompt_id,
            prompts=_of(prompt_id, texts.prompts),
            responses=_of(prompt_id, texts.responses),
            translations=_of(prompt_id, texts.translations),
            back={
                direction: self._back[name]
                for direction in texts.translations
                if (name := translation_name(prompt_id, *direction)) in self._back
            },
            pairs=tuple(self._pairs.get(prompt_id, ())),
            drops=tuple(self._drops.get(prompt_id, ())),
            samples=_of(prompt_id, texts.samples),
            scores={lang: rows.get(prompt_id, ()) for lang, rows in texts.scores.items()} if scored else {},
        )
        _check_directions(example, pair_directions(self._settings), self._pairs_file)
        for pair in example.pairs:
            if wrong := _contradiction(example, pair):
                raise InputError(f"the pair {pair.id!r}: {wrong}", self._pairs_file)
        return example

    def _files(self) -> dict[Path, Mapping[str, object]]:
        """The rows of every file that is in the order of the prompts, by the prompts' ids."""
        texts, data = self.texts, self._data
        return {
            **{paths.prompt_file(data, lang): rows for lang, rows in texts.prompts.items()},
            **{paths.response_file(data, lang): rows for lang, rows in texts.samples.items()},
            **{paths.score_file(data, lang): rows for lang, rows in texts.scores.items()},
            **{paths.translation_file(data, *direction): rows for direction, rows in texts.translations.items()},
            self._pairs_file: self._pairs,
            self._drops_file: self._drops,
        }


def pair_directions(settings: config.Settings) -> list[Direction]:
    """(language, language compared with) of all pairs that a prompt can give, those in the dominant language last."""
    found = rules.directions(settings.pairs, settings.dominant, settings.languages)
    return sorted(found, key=lambda direction: direction[0] == settings.dominant)


def translation_directions(settings: config.Settings) -> list[Direction]:
    """(source, target) of all translations, as in the names of their files: each the reverse of a pair's.

    Empty where the rule makes its pairs of answers alone.
    """
    if not settings.pairs.reads("translations"):
        return []
    return [(source, target) for target, source in pair_directions(settings)]


def _of(prompt_id: str, files: Mapping) -> dict:
    """The prompt's row of each file that has one."""
    return {key: rows[prompt_id] for key, rows in files.items() if prompt_id in rows}


def _by_prompt(path: Path, record: type[RowT]) -> dict[str, list[RowT]]:
    """The file's rows by their prompts; an empty file has none."""
    found: defaultdict[str, list[RowT]] = defaultdict(list)
    for row in read_rows(path, record, may_be_empty=True):
        found[row.prompt_id].append(row)
    return found


def _expect_order(path: Path, rows: Mapping[str, object], places: Mapping[str, int]) -> None:
    """Raise InputError at the first row that is of no prompt, or of one that stands before that of the row above."""
    line, last = 1, -1
    for name, of_prompt in rows.items():
        if name not in places:
            raise InputError(f"a row of {name!r}: there is no such prompt", path, line)
        if places[name] < last:
            raise InputError(f"a row of {name!r}: rows are expected in the order of the prompts", path, line)
        last = places[name]
        line += len(of_prompt) if isinstance(of_prompt, list | tuple) else 1


def _sent_back(row: Translation) -> str:
    """The name of the translation that this one sends back."""
    return translation_name(row.id, row.target_lang, row.source_lang)


def _check_directions(example: Example, expected: list[Direction], pairs_file: Path) -> None:
    """Raise InputError where a direction has not one pair or one drop."""
    found = Counter((row.lang, row.other_lang) for row in example.outcomes)
    for direction in (*found, *expected):
        name = pair_id(example.id, *direction)
        if direction not in expected:
            raise InputError(f"{name!r} is in a direction that params.yaml does not have", pairs_file)
        if found[direction] != 1:
            times = found[direction] or "no"
            problem = f"{name!r} has {times} rows in {paths.PAIRS} and {paths.DROPS} together; one is expected"
            raise InputError(problem, pairs_file)


def _contradiction(example: Example, pair: Pair) -> str | None:
    """What in a pair does not follow from its prompt and answers."""
    expected = pair_id(example.id, pair.lang, pair.other_lang)
    if pair.id != expected:
        return f"the id {expected!r} is expected"
    if len(pair.prompt) != 1 or pair.prompt[0].content != example.prompts[pair.lang].text:
        return f"its prompt is not the text of {example.id!r} in {pair.lang!r}"
    wrong = _other_text("chosen", pair.chosen, example.rows.get(pair.chosen_from))
    return wrong or _other_text("rejected", pair.rejected, example.rows.get(pair.rejected_from))


def _other_text(side: str, messages: tuple[Message, ...], row: Response | Translation | None) -> str | None:
    """What is wrong where the messages are not the text of the row."""
    if row is None:
        return f"there is no answer or translation that its {side} text comes from"
    if len(messages) == 1 and messages[0].content.strip() == (row.text or "").strip():
        return None
    return f"its {side} text is not the {type(row).__name__.lower()} that it comes from"
