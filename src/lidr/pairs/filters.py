"""The filters: why two texts make no pair. One function per reason to drop; `pairs.filters` in params.yaml lists them.

    pairs:
      filters: [identical, repeated, {name: length_ratio, most: 1.5}]

    >>> length_ratio(Candidate(None, Side("Son 25."), Side("Son 25, porque 20 y 5 son 25."), ("en", "es")), most=1.5)
    'one answer is 4.1 times as long as the other'

A filter gets a candidate and returns what is wrong with it in words, or None. Its name is the drop's reason, and its
keyword arguments are its options, each a number above 0. Filters run in the order of this file, and the first that
objects is counted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from lidr.pairs import properties
from lidr.pairs.normalise import NEAR_IDENTICAL, comparable, is_similar
from lidr.pairs.refusals import is_refusal
from lidr.pairs.texts import NoPair
from lidr.records import Prompt, PromptKind
from lidr.records.langid import is_off_target


class Side(NamedTuple):
    """One text of a candidate, and the text that it translates, where it does."""

    text: str
    translated_from: str | None = None


class Candidate(NamedTuple):
    """Two texts that would make a pair for the prompt, in the prompt's language; `languages` are all of the study."""

    prompt: Prompt
    chosen: Side
    rejected: Side
    languages: tuple[str, ...]

    @property
    def sides(self) -> dict[str, Side]:
        return {"chosen": self.chosen, "rejected": self.rejected}


Filter = Callable[..., str | None]
FILTERS: dict[str, Filter] = {}


def drops(function: Filter) -> Filter:
    """Register a filter by its function's name."""
    FILTERS[function.__name__] = function
    return function


@drops
def identical(pair: Candidate) -> str | None:
    """Chosen and rejected are the same text: there is nothing to prefer."""
    same = pair.chosen.text.strip() == pair.rejected.text.strip()
    return "chosen and rejected are the same text" if same else None


@drops
def repeated(pair: Candidate) -> str | None:
    """The chosen answer is stuck in a loop."""
    return "chosen: the answer ends in a loop" if properties.ends_in_repetition(pair.chosen.text) else None


@drops
def off_target(pair: Candidate) -> str | None:
    """The chosen answer is not in the prompt's language; texts that cannot be judged stay.

    So do answers to requests for a translation, which are in the language that is asked for.
    """
    if pair.prompt.kind is PromptKind.TRANSLATION:
        return None
    lang = pair.prompt.lang
    return f"chosen: not in {lang}" if is_off_target(pair.chosen.text, lang, pair.languages) else None


@drops
def refusal(pair: Candidate) -> str | None:
    """The chosen answer declines to answer. A rejected one may: to answer is better."""
    return "chosen: the answer is a refusal" if is_refusal(comparable(pair.chosen.text)) else None


@drops
def markers(pair: Candidate) -> str | None:
    """Either side holds leftovers of the translation request or of a chat template, by which to tell them apart."""
    found = {name: properties.markers(side.text) for name, side in pair.sides.items()}
    return next((f"{name}: it holds {marks[0]}" for name, marks in found.items() if marks), None)


@drops
def numbers_lost(pair: Candidate) -> str | None:
    """A side is a translation that does not hold the numbers of its original, each as often."""
    for name, side in pair.sides.items():
        original = side.translated_from
        if original is not None and properties.numbers(side.text) != properties.numbers(original):
            return f"{name}: the translation has other numbers than the answer"
    return None


@drops
def length_ratio(pair: Candidate, *, most: float = 2.0) -> str | None:
    """The longer answer has more than `most` times the characters of the shorter one."""
    shorter, longer = sorted(len(side.text.strip()) for side in pair.sides.values())
    return f"one answer is {longer / shorter:.1f} times as long as the other" if longer > most * shorter else None


@drops
def near_identical(pair: Candidate, *, at_least: float = NEAR_IDENTICAL) -> str | None:
    """The two texts have a similarity of `at_least` or more (Dice's coefficient of character trigrams)."""
    alike = is_similar(comparable(pair.chosen.text), comparable(pair.rejected.text), at_least)
    return "chosen and rejected are all but the same text" if alike else None


@drops
def right(pair: Candidate) -> str | None:
    """An oracle, for studies: by the prompt's gold answer, chosen is not right, or rejected is not wrong.

    Where the gold answer cannot judge a text (there is none, or it is no number), the pair stays, whatever it says.
    """
    from lidr.pairs.gold import is_right

    if is_right(pair.chosen.text, pair.prompt) is False:
        return "chosen: the answer is wrong by the gold answer"
    if is_right(pair.rejected.text, pair.prompt):
        return "rejected: the answer is right by the gold answer"
    return None


def enabled(entries: Sequence[str | dict[str, Any]]) -> Callable[[Candidate], NoPair | None]:
    """The listed filters as one function: the first objection in the order of `FILTERS`, or None."""
    wanted = dict(map(_entry, entries))
    chosen = {name: partial(function, **wanted[name]) for name, function in FILTERS.items() if name in wanted}

    def first(pair: Candidate) -> NoPair | None:
        for name, function in chosen.items():
            detail = function(pair)
            if detail is not None:
                return NoPair(name, detail)
        return None

    return first


def problem(entries: Sequence[str | dict[str, Any]]) -> str | None:
    """What is wrong with the list in params.yaml, or None."""
    names: set[str] = set()
    for entry in entries:
        if isinstance(entry, dict) and not isinstance(entry.get("name"), str):
            return "a filter's name, or a mapping with its name and options, is expected"
        name, options = _entry(entry)
        if name not in FILTERS:
            return f"{name!r} is no filter; there are {', '.join(FILTERS)}"
        if name in names:
            return f"{name!r} stands twice; each filter once is expected"
        names.add(name)
        known = [p.name for p in inspect.signature(FILTERS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY]
        for option, value in options.items():
            if option not in known:
                return f"{name!r} has no option {option!r}; it has {', '.join(known) or 'none'}"
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                return f"{name}.{option}: a number above 0 is expected, not {value!r}"
    return None


def _entry(entry: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    return entry["name"], {option: value for option, value in entry.items() if option != "name"}
