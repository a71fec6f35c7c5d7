"""Code-switching: which sentences of a text are in another language than the one that was asked for.

    >>> sentences("Anna tiene 34 manzanas. She gives eleven of them away.", "es", ["en", "es"])
    [Sentence(text='Anna tiene 34 manzanas.', other=False),
     Sentence(text='She gives eleven of them away.', other=True)]
    >>> count("Anna tiene 34 manzanas. She gives eleven of them away.", "es", ["en", "es"])
    Sentences(judged=2, other=1)

Code, formulas, links and markup are taken out first. A sentence is another language's where py3langid is sure of it,
with its names and quotations and without. Words of another script amid a sentence are names or loan words and are
ignored, unless there are as many in a row as a clause has: that is a sentence of its own, which also finds a switch
where no mark ends a sentence, as in Thai. Kanji alone may be Japanese as well as Chinese.

Not judged (`other` is None, or no sentence at all) is what has too few letters, and a heading, a title or a term of
another language. A text without a judged sentence abstains.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from lidr.records import langid
from lidr.records.languages import native_name

# Letters that a sentence is judged from, and those that must be left of it without names. An ideograph, a syllable of
# Japanese or of Korean counts twice.
FEWEST_LETTERS, FEWEST_BARE = 10, 6
# How likely another language must be. Of 6,800 sentences of GSM8K's questions in five languages, 9 are read wrongly
# with 0.5 and 3 with 0.6.
SURE = 0.6
# Words in another language that are a sentence: where they stand alone and end in a mark, and where not.
SENTENCE_WORDS, CLAUSE_WORDS = 3, 5
# Ideographs alone that are no name or address any more.
LONG_IN_IDEOGRAPHS = 20
# Kana that make a sentence Japanese: Chinese has an ornamental の.
FEWEST_KANA = 3

_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\$[^$\n]*[\\^_{}=][^$\n]*\$"
    r"|\b(?:https?://|www\.)[!-~]*[A-Za-z0-9/]|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.\w+)+|</?[A-Za-z][^<>\n]*>",
    re.DOTALL,
)
# Lines of code outside of a block: statements, definitions, comparisons, assignments, queries.
_CODE_LINE = re.compile(
    r"^.*(?:[;{}]|\w\(.*\):?)\s*$"
    r"|^\s*(?:import|from|def|class|return|function|const|let|var|public|#include)\s\S*[\w.]+.*[(){}=<>:.].*$"
    r"|^\s*(?:import|from)\s\w+(?:\s(?:as|import)\s\w+)?\s*$"
    r"|^.*(?:==|!=|=>|->|&&|\|\||\+=).*$"
    r"|^\s*[\w.\[\]]+\s=\s.*$"
    r"|^\s*SELECT\s.*\sFROM\s.*$",
    re.MULTILINE,
)
_MARKUP = re.compile(r"[*#|>~_]+")
# Marks that end a sentence where a space follows, and those that need none.
_SPACED, _UNSPACED = ".!?…؟", "。！？｡।॥۔។៕"
_END = re.compile(rf"(?<=[{_SPACED}])[\"'”’»)\]]*\s+|(?<=[{_UNSPACED}])|[\n\r\u2028\u2029]+")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」|『[^』]*』")
_WORD = re.compile(r"(?<!\S)[^\w\s]*([^\W\d_])\S*")

# Scripts by the first word of their letters' names in Unicode. Chinese and Japanese count as written in one.
_IDEOGRAPHS, _KANA, _HANGUL = "CJK", ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"), "HANGUL"
_SCRIPTS = dict.fromkeys((*_KANA, "IDEOGRAPHIC"), _IDEOGRAPHS)
_DENSE = (_IDEOGRAPHS, _HANGUL)
_WITHOUT_SPACES = {_IDEOGRAPHS, "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}
# Character sets of the languages that share ideographs with Chinese; they lack China's simplified ones.
_CHARACTER_SETS = {"ja": "shift_jis", "ko": "euc_kr"}


class Sentence(NamedTuple):
    """A sentence, without what is no prose, and whether it is in another language; None where that is not judged."""

    text: str
    other: bool | None


class Sentences(NamedTuple):
    """How many sentences of a text were judged, and how many of these are in another language."""

    judged: int
    other: int


def count(text: str, lang: str, candidates: Sequence[str]) -> Sentences:
    """The text's sentences; raises InputError for a language that py3langid does not know."""
    verdicts = [sentence.other for sentence in sentences(text, lang, candidates)]
    return Sentences(len(verdicts) - verdicts.count(None), verdicts.count(True))


def sentences(text: str, lang: str, candidates: Sequence[str]) -> list[Sentence]:
    """Each sentence with its verdict; clauses in another script follow the sentence that they stand in."""
    told_apart, own = (*candidates, lang), _writing(lang)
    prose = _MARKUP.sub(" ", _CODE_LINE.sub("\n", _NOT_PROSE.sub(" ", text)))
    found = []
    for sentence in filter(None, map(str.strip, _END.split(prose))):
        words, clauses = _by_script(sentence, own)
        found += [Sentence(words, _is_other(words, lang, told_apart))] if words else []
        found += [Sentence(clause, _is_foreign(clause, lang)) for clause in clauses]
    return found


def _is_other(sentence: str, lang: str, candidates: Sequence[str]) -> bool | None:
    """Whether a sentence in the language's own script is in another language, with and without its names."""
    if _weight(sentence) < FEWEST_LETTERS:
        return None
    if not _is_surely_other(sentence, lang, candidates):
        return False
    bare = _without_names(sentence)
    if _weight(bare) < FEWEST_BARE or not _is_prose(sentence, is_whole=_has_end(sentence)):
        return None
    return _is_surely_other(bare, lang, candidates)


def _is_surely_other(sentence: str, lang: str, candidates: Sequence[str]) -> bool:
    own = langid.primary(lang)
    found, share = langid.likeliest(sentence, candidates)
    if found == own or share < SURE:
        return False
    if found == "ja":
        return _kana(sentence) >= FEWEST_KANA
    if found == "zh" and own in _CHARACTER_SETS:
        return not _kana(sentence) and not _may_be_written(sentence, own)
    return True


def _kana(text: str) -> int:
    return sum(_name(character) in _KANA for character in text)


def _may_be_written(ideographs: str, lang: str) -> bool:
    """Whether ideographs alone may be a name or a term of Japanese or Korean."""
    try:
        ideographs.encode(_CHARACTER_SETS[lang])
    except UnicodeEncodeError:
        return False
    return sum(map(str.isalpha, ideographs)) < LONG_IN_IDEOGRAPHS


def _is_foreign(clause: str, lang: str) -> bool:
    """Whether a clause is in another language: some have a second script, in which their name is not written."""
    return langid.likeliest(clause, langid.known())[0] != langid.primary(lang)


def _is_prose(text: str, is_whole: bool) -> bool:
    """Whether words of another language are more than a name, a title or a term, which have more capitals."""
    if _scripts(text) & _WITHOUT_SPACES:
        return _weight(text) >= (FEWEST_LETTERS if is_whole else 2 * FEWEST_LETTERS)
    initials = _WORD.findall(text)
    uncapitalised = sum(not initial.isupper() for initial in initials)
    if is_whole:
        return len(initials) >= SENTENCE_WORDS and 3 * uncapitalised >= len(initials)
    return len(initials) >= CLAUSE_WORDS and 2 * uncapitalised > len(initials)


def _has_end(sentence: str) -> bool:
    return sentence[-1] in _SPACED + _UNSPACED


def _without_names(sentence: str) -> str:
    """Without quotations and capitalised words, but for the first."""
    bare = _QUOTED.sub(" ", sentence).lstrip()
    if bare.isupper():
        return bare
    return _WORD.sub(lambda word: " " if word[1].isupper() and word.start() else word[0], bare)


# --- scripts ---------------------------------------------------------------------------------------------------------


def _by_script(sentence: str, own: frozenset[str]) -> tuple[str, list[str]]:
    """What is in the language's own scripts, without words of another, and the clauses that are in another."""
    if _scripts(sentence) <= own:
        return sentence, []
    unquoted = _QUOTED.sub(" ", sentence)
    is_whole = _has_end(sentence) and not own & _scripts(unquoted)
    runs = [(script, run.strip()) for script, run in _runs(unquoted)]
    clauses = [run for script, run in runs if script not in own and _is_prose(run, is_whole)]
    return " ".join(run for script, run in runs if script in own), clauses


def _runs(text: str) -> list[tuple[str, str]]:
    """Stretches of one script, each with the spaces and marks around its letters."""
    runs: list[tuple[str, list[str]]] = []
    for character in text:
        script = _script(character)
        last, run = runs[-1] if runs else ("", [])
        if runs and (not script or not last or script == last):
            run.append(character)
            runs[-1] = last or script, run
        else:
            runs.append((script, [character]))
    return [(script, "".join(run)) for script, run in runs]


def _weight(text: str) -> int:
    """Letters and the vowel signs of Indic scripts, dense ones twice."""
    letters = (character for character in langid.prose(text) if unicodedata.category(character)[0] in "LM")
    return sum(2 if _script(letter) in _DENSE else 1 for letter in letters)


@cache
def _writing(lang: str) -> frozenset[str]:
    """The scripts of a language: those of its own name, and in Korea's case ideographs as well."""
    scripts = _scripts(native_name(lang))
    return frozenset(scripts | ({_IDEOGRAPHS} if _HANGUL in scripts else set()))


def _scripts(text: str) -> set[str]:
    return {_script(character) for character in set(text)} - {""}


@cache
def _script(character: str) -> str:
    """A letter's script; of anything else an empty string."""
    name = _name(character)
    return _SCRIPTS.get(name, name)


def _name(character: str) -> str:
    """The script as the letter's name in Unicode begins."""
    if not character.isalpha():
        return ""
    name = unicodedata.name(character, "")
    return name.removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ").partition(" ")[0]
