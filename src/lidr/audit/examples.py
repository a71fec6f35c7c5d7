"""The examples of an iteration: each prompt with everything that it became, one at a time, in prompt order.

    >>> example = next(read(settings, "m1"))
    >>> example.id, sorted(example.prompts), len(example.pairs), len(example.drops)
    ('lab-0', ['de', 'en', 'es', 'fr', 'ru'], 7, 1)

All files of an iteration hold their rows in prompt order, so they are read side by side and joined by id: a row is
taken when its prompt's turn comes. (The few of the round trip, which stand by direction, are looked up.) A row that no
prompt takes, a prompt without its pair or drop, two rows where one is expected, or a pair whose text is not that of the
row that it names, is an `InputError` that says which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic

from lidr import config, paths
from lidr.errors import InputError
from lidr.pairs import rules
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
from lidr.records.jsonl import RecordT, read_rows

Direction = tuple[str, str]


@dataclass(frozen=True)
class Example:
    """One prompt in all languages, the answers, their translations by (source, target), and the pairs and drops.

    `samples` are all answers, of which `responses` are the first, and `scores` theirs where the rule compares them.
    `back` holds what came back of an answer that was translated and translated back, by the direction of the way there.
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

    @cached_property
    def rows(self) -> dict[str, Response | Translation]:
        """Answers and translations by name, as pairs name the rows that they are made of."""
        answers = {response_name(self.id, lang, row.sample): row for lang, rows in self.samples.items() for row in rows}
        return answers | {translation_name(self.id, *direction): row for direction, row in self.translations.items()}


def read(settings: config.Settings, iteration: str) -> Iterator[Example]:
    """The iteration's examples in prompt order, each checked; the end checks that no row was left over."""
    files = _Files(settings, iteration)
    known: set[str] = set()
    for prompt in _rows(paths.prompt_file(iteration, settings.dominant), Prompt):
        if prompt.id in known:
            raise InputError(f"a second prompt with the id {prompt.id!r}", files.first)
        known.add(prompt.id)
        example = files.example(prompt)
        check(settings, iteration, example)
        yield example
    for stream in files.streams():
        stream.expect_end(known)
    for prompt_id, (source, target) in files.back:
        problem = f"a row of {prompt_id!r}: there is no translation {source}-{target} of it"
        raise InputError(problem, paths.round_trip(iteration))


def pair_directions(settings: config.Settings) -> list[Direction]:
    """(language, language compared with) of all pairs that a prompt can give, those in the dominant language last."""
    found = rules.directions(settings.pairs, settings.dominant, settings.languages)
    return sorted(found, key=lambda direction: direction[0] == settings.dominant)


def translation_directions(settings: config.Settings) -> list[Direction]:
    """(source, target) of all translations, as in the names of their files: each the reverse of a pair's."""
    return [(source, target) for target, source in pair_directions(settings)]


class _Stream(Generic[RecordT]):
    """The rows of one file, handed out when the prompt that they belong to has its turn."""

    def __init__(self, path: Path, record: type[RecordT], prompt_of: Callable[[RecordT], str]) -> None:
        self.path, self._prompt_of = path, prompt_of
        self._rows = _rows(path, record)
        self._line = 0
        self._advance()

    def take(self, prompt_id: str) -> list[RecordT]:
        """All next rows of this prompt."""
        taken = []
        while self._next is not None and self._prompt_of(self._next) == prompt_id:
            taken.append(self._next)
            self._advance()
        return taken

    def take_one(self, prompt_id: str) -> RecordT | None:
        """The next row, if it is this prompt's."""
        taken = self.take(prompt_id)
        if len(taken) > 1:
            raise InputError(f"a second row of {prompt_id!r}; one is expected", self.path, self._line - 1)
        return taken[0] if taken else None

    def take_samples(self, prompt_id: str) -> tuple[RecordT, ...]:
        """All next rows of this prompt, which are samples 0, 1, ..."""
        taken = self.take(prompt_id)
        if [getattr(row, "sample", None) for row in taken] != list(range(len(taken))):
            raise InputError(f"a second row of {prompt_id!r}; one is expected", self.path, self._line - 1)
        return tuple(taken)

    def expect_end(self, known: set[str]) -> None:
        """Raise InputError where a row is left that no prompt took."""
        if self._next is not None:
            left = self._prompt_of(self._next)
            problem = "rows are expected in the order of the prompts" if left in known else "there is no such prompt"
            raise InputError(f"a row of {left!r}: {problem}", self.path, self._line)

    def _advance(self) -> None:
        self._next = next(self._rows, None)
        self._line += 1


class _Files:
    """All files of an iteration beside the dominant language's prompts, as streams."""

    def __init__(self, settings: config.Settings, iteration: str) -> None:
        self.first = paths.prompt_file(iteration, settings.dominant)
        self.prompts = {
            lang: _Stream(paths.prompt_file(iteration, lang), Prompt, lambda row: row.id) for lang in settings.languages
        }
        self.responses = {
            lang: _Stream(paths.response_file(iteration, lang), Response, lambda row: row.id)
            for lang in settings.all_languages
        }
        self.translations = {
            (a, b): _Stream(paths.translation_file(iteration, a, b), Translation, lambda row: row.id)
            for a, b in translation_directions(settings)
            if settings.pairs.reads("translations")
        }
        self.scores = {
            lang: _Stream(paths.score_file(iteration, lang), Score, lambda row: row.id)
            for lang in settings.all_languages
            if settings.pairs.reads("scores")
        }
        folder = paths.pairs(iteration)
        self.pairs = _Stream(folder / paths.PAIRS, Pair, lambda row: row.prompt_id)
        self.drops = _Stream(folder / paths.DROPS, Drop, lambda row: row.prompt_id)
        self.back = _round_trip(paths.round_trip(iteration))

    def streams(self) -> Iterator[_Stream[Any]]:
        for by_language in (self.prompts, self.responses, self.translations, self.scores):
            yield from by_language.values()
        yield from (self.pairs, self.drops)

    def example(self, prompt: Prompt) -> Example:
        prompts = {prompt.lang: prompt} | _present(self.prompts, prompt.id)
        for lang, stream in self.prompts.items():
            if lang not in prompts:
                raise InputError(f"no prompt {prompt.id!r} here; the prompts of {self.first} are expected", stream.path)
        samples = {lang: stream.take_samples(prompt.id) for lang, stream in self.responses.items()}
        translations = _present(self.translations, prompt.id)
        sent = [direction for direction in translations if (prompt.id, direction) in self.back]
        return Example(
            id=prompt.id,
            prompts=prompts,
            responses={lang: rows[0] for lang, rows in samples.items() if rows},
            samples=samples,
            scores={lang: tuple(stream.take(prompt.id)) for lang, stream in self.scores.items()},
            translations=translations,
            back={direction: self.back.pop((prompt.id, direction)) for direction in sent},
            pairs=tuple(self.pairs.take(prompt.id)),
            drops=tuple(self.drops.take(prompt.id)),
        )


def _present(streams: dict[Any, _Stream[Any]], prompt_id: str) -> dict[Any, Any]:
    rows = {key: stream.take_one(prompt_id) for key, stream in streams.items()}
    return {key: row for key, row in rows.items() if row is not None}


def _round_trip(path: Path) -> dict[tuple[str, Direction], Translation]:
    """The sample that was translated back, by the prompt's id and the direction of the way there."""
    found: dict[tuple[str, Direction], Translation] = {}
    for number, row in enumerate(_rows(path, Translation), start=1):
        key = (row.id, (row.target_lang, row.source_lang))
        if key in found:
            raise InputError(f"a second row of {row.id!r} from {row.source_lang}", path, number)
        found[key] = row
    return found


def _rows(path: Path, record: type[RecordT]) -> Iterator[RecordT]:
    """The file's rows; an empty file is one without rows (no drops, say), a missing one an InputError."""
    if path.is_file() and path.stat().st_size == 0:
        return
    yield from read_rows(path, record)


def check(settings: config.Settings, iteration: str, example: Example) -> None:
    """Each direction has one pair or one drop, and each pair says what the answers say; raises InputError if not."""
    pairs_file = paths.pairs(iteration) / paths.PAIRS
    expected = pair_directions(settings)
    rows: list[Pair | Drop] = [*example.pairs, *example.drops]
    directions = [(row.lang, row.other_lang) for row in rows]
    if len(directions) != len(expected) or set(directions) != set(expected):
        _raise_direction(example, directions, expected, pairs_file)
    for pair in example.pairs:
        problem = _contradiction(settings, example, pair)
        if problem:
            raise InputError(f"the pair {pair.id!r}: {problem}", pairs_file)


def _raise_direction(
    example: Example, directions: list[Direction], expected: list[Direction], pairs_file: Path
) -> None:
    found = Counter(directions)
    for lang, other_lang in [*found, *expected]:
        name = pair_id(example.id, lang, other_lang)
        if (lang, other_lang) not in expected:
            raise InputError(f"{name!r} is in a direction that params.yaml does not have", pairs_file)
        if found[lang, other_lang] != 1:
            times = found[lang, other_lang] or "no"
            raise InputError(
                f"{name!r} has {times} rows in {paths.PAIRS} and {paths.DROPS} together; one is expected", pairs_file
            )


def _contradiction(settings: config.Settings, example: Example, pair: Pair) -> str | None:
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
    if len(messages) == 1 and (
        messages[0].content == row.text or messages[0].content.strip() == (row.text or "").strip()
    ):
        return None
    return f"its {side} text is not the {type(row).__name__.lower()} that it comes from"
