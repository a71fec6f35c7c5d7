"""Which language a text is in, to see whether a model answered in the language that it was asked in.

    >>> identify("Die Enten legen jeden Tag sechzehn Eier.", ["de", "en", "es"])
    'de'
    >>> is_off_target("The ducks lay sixteen eggs every day.", "de", ["de", "en", "es"])
    True

py3langid decides, among the candidates, English (what a model falls back to) and their near neighbours, so that a
Portuguese answer is not called Spanish for want of a choice. Digits and LaTeX are taken out first. A text with fewer
than ten letters left is not judged: that is None, and never counts as off target. Languages that py3langid does not
know raise InputError; ask `is_supported` first where a run should go on and report the rate as not measured.
`code_switching` asks the same of each sentence.

The model takes a second to load, then a tenth of a millisecond for a short text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from copy import copy
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from lidr.errors import InputError

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

FEWEST_LETTERS = 10

# A neighbour that is no candidate must be as likely as this, or short texts are taken for one: with it, one of MGSM's
# 2,750 questions cut to 40 characters is read wrongly. Sentences in Portuguese and Italian reach 0.67 and more.
SURE_OF_NEIGHBOUR = 0.6

# The languages that a model drifts into beside English, or that short texts are most easily taken for.
_NEIGHBOURS = {
    "bn": ("hi",),
    "cs": ("sk",),
    "da": ("no", "sv"),
    "de": ("nl",),
    "es": ("pt", "it"),
    "fr": ("es", "it"),
    "hi": ("mr", "ne"),
    "id": ("ms",),
    "it": ("es", "fr"),
    "ja": ("zh",),
    "ko": ("ja", "zh"),
    "no": ("da", "sv"),
    "pt": ("es", "it"),
    "ru": ("uk",),
    "sv": ("da", "no"),
    "sw": ("zu",),
    "te": ("hi", "ta", "kn"),
    "th": ("lo",),
    "uk": ("ru", "be"),
    "zh": ("ja",),
}

# CLDR's codes where py3langid goes by another name.
_SAME = {"nb": "no", "iw": "he", "in": "id", "fil": "tl", "cmn": "zh"}

# Texts whose language is remembered: the dominant answer stands in a pair for each other language.
_REMEMBERED = 4_096

_ENOUGH_LETTERS = re.compile(rf"(?:[^\W\d_][\W\d_]*){{{FEWEST_LETTERS}}}")
_MAY_BE_LATEX = re.compile(r"[\\${}_^]")
_LATEX = re.compile(r"\\[A-Za-z]+\*?|\\[^A-Za-z]|\$\$?|[{}_^]")


def identify(text: str, candidates: Sequence[str]) -> str | None:
    """The primary language code of the text, or None where too few letters are left to judge.

    A neighbour's code can be returned too. Raises InputError for a candidate that py3langid does not know.
    """
    languages = _languages(tuple(candidates))
    letters = prose(text)
    return _identified(letters, languages) if _ENOUGH_LETTERS.search(letters) else None


def is_off_target(text: str, lang: str, candidates: Sequence[str]) -> bool:
    """Whether the text is in another language than `lang`; where `identify` does not judge, it is not."""
    found = identify(text, [*candidates, lang])
    return found is not None and found != primary(lang)


def likeliest(text: str, candidates: Sequence[str]) -> tuple[str, float]:
    """The language that the text is most likely in, neighbours among them, and its probability, however short it is."""
    return _ranked(prose(text), _languages(tuple(candidates)))[0]


def is_supported(lang: str) -> bool:
    """Whether py3langid knows the language."""
    return primary(lang) in known()


def primary(code: str) -> str:
    """The code by which py3langid knows a language: 'zh' for zh-Hant, 'no' for nb."""
    first = code.replace("_", "-").split("-")[0].lower()
    return _SAME.get(first, first)


def prose(text: str) -> str:
    """The text without LaTeX's commands and without digits of any script."""
    if _MAY_BE_LATEX.search(text):
        text = _LATEX.sub(" ", text)
    return text.translate(_DIGITS)


def _identified(letters: str, languages: frozenset[str]) -> str:
    """The likeliest of the languages, or of their neighbours one that is likely enough."""
    neighbours = _neighbours(languages)
    ranked = _ranked(letters, languages)
    return next(lang for lang, share in ranked if lang not in neighbours or share >= SURE_OF_NEIGHBOUR)


@lru_cache(maxsize=_REMEMBERED)
def _ranked(letters: str, languages: frozenset[str]) -> list[tuple[str, float]]:
    """The languages and their neighbours with their probabilities, the likeliest first."""
    return _identifier(languages | _neighbours(languages)).rank(letters)


@cache
def _languages(candidates: tuple[str, ...]) -> frozenset[str]:
    """What is told apart: the candidates and English."""
    languages = frozenset(primary(code) for code in [*candidates, "en"])
    unknown = sorted(languages.difference(known()))
    if unknown:
        raise InputError(f"py3langid does not know the language {unknown[0]!r}; its off-target rate cannot be measured")
    return languages


@cache
def _neighbours(languages: frozenset[str]) -> frozenset[str]:
    """Neighbours of the languages that are not among them."""
    return frozenset(near for code in languages for near in _NEIGHBOURS.get(code, ())) - languages


@cache
def known() -> tuple[str, ...]:
    """The codes of all languages that py3langid knows."""
    return tuple(_model().labels)


@cache
def _identifier(languages: frozenset[str]) -> LanguageIdentifier:
    """An identifier of these languages alone; all share the model's tables."""
    identifier = copy(_model())
    identifier.set_languages(sorted(languages))
    return identifier


@cache
def _model() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


class _DigitTable(dict[int, int]):
    """For str.translate: a digit or numeral of any script becomes a space."""

    def __missing__(self, code: int) -> int:
        self[code] = ord(" ") if unicodedata.category(chr(code)).startswith("N") else code
        return self[code]


_DIGITS = _DigitTable()
