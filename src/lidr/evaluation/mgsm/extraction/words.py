"""The words by which problems are asked and answers are read, from words.toml.

    >>> words("de").heads, words("de").scales["tausend"]
    (('antwort',), 3)
    >>> wording("de").question, wording("ko").question
    ('Frage:', 'Question:')
    >>> has_words("xh"), words("xh").heads
    (False, ())

A language without a table has no words of its own: its answers are read by English's phrases and by the last number,
which the metrics of stage `mgsm` say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

from lidr.records.languages import primary


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"and_": "and"}):
    """One language's table; words.toml says what each key means."""

    question: str = ""
    steps: str = ""
    strict: str = ""
    heads: tuple[str, ...] = ()
    copulas: tuple[str, ...] = ()
    modifiers: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    openers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    retractions: tuple[str, ...] = ()
    pauses: tuple[str, ...] = ()
    asides: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    joined: bool = True
    answer_last: bool = False
    scales: dict[str, int] = {}
    not_scales: tuple[str, ...] = ()
    scales_before: dict[str, int] = {}
    and_: str = ""

    @property
    def space(self) -> str:
        """The pattern between two words."""
        return r"\s+" if self.joined else r"\s*"


@cache
def _tables() -> dict[str, Words]:
    text = Path(__file__).with_name("words.toml").read_text("utf-8")
    return msgspec.toml.decode(unicodedata.normalize("NFC", text), type=dict[str, Words])


def words(lang: str) -> Words:
    """The words of a BCP-47 code's primary language; none where it has no table."""
    return _tables().get(primary(lang), Words())


def wording(lang: str) -> Words:
    """The words with which a problem in the language is asked: English's where it has no `question`."""
    own = words(lang)
    return own if own.question else words("en")


def has_words(lang: str) -> bool:
    """Whether answers in the language are read by words of its own."""
    return primary(lang) in _tables()


def own_and_english(lang: str) -> tuple[Words, ...]:
    """The tables by which an answer in `lang` is read: models answer in English too."""
    return (words("en"),) if primary(lang) == "en" else (words(lang), words("en"))


def any_of(phrases: Iterable[str], space: str = r"\s+") -> str:
    """A pattern of alternatives, longest first; nothing matches where there are none."""
    longest_first = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    return "(?:" + ("|".join(space.join(map(re.escape, phrase.split())) for phrase in longest_first) or "(?!)") + ")"
