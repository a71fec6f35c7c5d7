"""Which language a text is in, to see whether a model answered in the language that it was asked in.

    >>> identify("Die Enten legen jeden Tag sechzehn Eier.", "de", ["de", "en", "es"])
    'de'
    >>> is_off_target("The ducks lay sixteen eggs every day.", "de", ["de", "en", "es"])
    True

py3langid decides, among the candidates, English (what a model falls back to) and their near neighbours, so that a
Portuguese answer is not called Spanish for want of a choice. It sees the text's prose (`records.prose`). A text is in
another language than the one that was asked for only where py3langid is sure of it, with the text's names and
quotations and without. Chinese and Japanese are told apart by their characters.

Not judged (None, which never counts as off target) is what has fewer than ten letters, a name or term of another
language, and ideographs alone that may be Chinese or Japanese. Languages that py3langid does not know raise InputError;
ask `is_supported` first where a run should go on and report the rate as not measured. `code_switching` asks the same of
each sentence.

The model takes a second to load, then a tenth of a millisecond for a short text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from lidr.errors import InputError
from lidr.records import prose
from lidr.records.languages import native_name

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# How likely another language must be. Of 6,800 sentences of GSM8K's questions in five languages, 9 are read wrongly
# with 0.5 and 3 with 0.6. Where two others are as likely, the language itself must be as unlikely as the second figure.
SURE, RULED_OUT = 0.6, 0.01
# Letters that must be left of a text without its names.
FEWEST_BARE = 6
# Kana that make a text Japanese: Chinese has an ornamental の.
FEWEST_KANA = 3
# Ideographs alone that are no name or address any more, where marks part them.
LONG_IN_IDEOGRAPHS = 20

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

# Character sets of the languages that share ideographs with Chinese; they lack China's simplified ones.
_CHARACTER_SETS = {"ja": "shift_jis", "ko": "euc_kr"}
_IDEOGRAPHIC = {"zh", *_CHARACTER_SETS}
_MARKS = re.compile("[，。！？；]")


def identify(text: str, lang: str, candidates: Sequence[str]) -> str | None:
    """The primary code of the language of a text that was asked for in `lang`, or None where it is not judged.

    A neighbour's code can be returned too. Raises InputError for a language that py3langid does not know.
    """
    whole = prose.prose(text).strip()
    if prose.QUOTED.fullmatch(whole):
        whole = whole[1:-1]
    return of_passage(whole, lang, candidates, is_whole=True)


def is_off_target(text: str, lang: str, candidates: Sequence[str]) -> bool:
    """Whether the text is in another language than `lang`; where `identify` does not judge, it is not."""
    return identify(text, lang, candidates) not in (None, primary(lang))


def of_passage(passage: str, lang: str, candidates: Sequence[str], is_whole: bool) -> str | None:
    """`identify` for prose, which may be a part of the text that is no sentence (`is_whole` is false)."""
    own, languages = primary(lang), _languages((*candidates, lang))
    if not any(prose.scripts_of(passage) & writing(code) for code in languages):
        languages = frozenset(known())
    if prose.weight(passage) < prose.FEWEST_LETTERS:
        return None
    found = _sure(passage, own, languages)
    if found in (None, own):
        return found
    bare = prose.without_names(passage)
    if prose.weight(bare) < FEWEST_BARE or not prose.has_words(passage, is_whole):
        return None
    return own if _sure(bare, own, languages) == own else found


def likeliest(text: str) -> str:
    """The language that the text is most likely in, of all that there are, however short it is."""
    return next(iter(_shares(prose.letters(text), frozenset(known()))))


@cache
def writing(lang: str) -> frozenset[str]:
    """The scripts of a language: those of its own name, and in Korea's case ideographs as well."""
    scripts = prose.scripts_of(native_name(lang))
    return frozenset(scripts | ({prose.IDEOGRAPHS} if prose.HANGUL in scripts else set()))


def is_supported(lang: str) -> bool:
    """Whether py3langid knows the language."""
    return primary(lang) in known()


def primary(code: str) -> str:
    """The code by which py3langid knows a language: 'zh' for zh-Hant, 'no' for nb."""
    first = code.replace("_", "-").split("-")[0].lower()
    return _SAME.get(first, first)


def _sure(text: str, own: str, languages: frozenset[str]) -> str | None:
    """The text's own language, unless another is likely enough; None for ideographs that may be either's."""
    shares = _shares(prose.letters(text), languages)
    found = next(iter(shares))
    if found == own or (shares[found] < SURE and shares[own] > RULED_OUT):
        return own
    return _by_characters(text, own, found) if own in _IDEOGRAPHIC and found in ("ja", "zh") else found


def _by_characters(text: str, own: str, found: str) -> str | None:
    """Which of two languages that are written with ideographs."""
    kana = prose.kana(text)
    if found == "ja" and kana:
        return found if kana >= FEWEST_KANA else own
    if kana or prose.HANGUL in prose.scripts_of(text):
        return own
    is_chinese = not all(_may_be_written(text, lang) for lang in {own, found} & _CHARACTER_SETS.keys())
    return "zh" if is_chinese else None


def _may_be_written(ideographs: str, lang: str) -> bool:
    """Whether ideographs alone may be a name or a term of Japanese or Korean."""
    try:
        ideographs.encode(_CHARACTER_SETS[lang])
    except UnicodeEncodeError:
        return False
    return sum(map(str.isalpha, ideographs)) < LONG_IN_IDEOGRAPHS or not _MARKS.search(ideographs)


# The dominant answer stands in a pair for each other language.
@lru_cache(maxsize=4_096)
def _shares(letters: str, languages: frozenset[str]) -> dict[str, float]:
    """The languages and their neighbours with their probabilities, the likeliest first."""
    return dict(_identifier(languages).rank(letters))


@cache
def _languages(candidates: tuple[str, ...]) -> frozenset[str]:
    """What is told apart: the candidates and English."""
    languages = frozenset(primary(code) for code in [*candidates, "en"])
    unknown = sorted(languages.difference(known()))
    if unknown:
        raise InputError(f"py3langid does not know the language {unknown[0]!r}; its off-target rate cannot be measured")
    return languages


@cache
def known() -> tuple[str, ...]:
    """The codes of all languages that py3langid knows."""
    return tuple(_model().labels)


@cache
def _identifier(languages: frozenset[str]) -> LanguageIdentifier:
    """An identifier of these languages and their neighbours alone; all share the model's tables."""
    identifier = copy(_model())
    identifier.set_languages(sorted(languages.union(*(_NEIGHBOURS.get(code, ()) for code in languages))))
    return identifier


@cache
def _model() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
