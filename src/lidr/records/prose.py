"""What of a text is prose, by which its language can be told: no code, formulas, data, links or markup.

    >>> prose("Rufe `get_the_eggs()` auf, siehe https://example.com/the/eggs")
    'Rufe   auf, siehe  '
    >>> weight("DNA 18"), weight("答え")
    (3, 4)

`langid` asks it of whole answers, `code_switching` of sentences.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Words in another language that are a sentence: where they stand alone and end in a mark, and where not.
SENTENCE_WORDS, CLAUSE_WORDS = 3, 5
# Letters that a text is judged from. An ideograph, a syllable of Japanese or of Korean counts twice.
FEWEST_LETTERS = 10

_NOT_PROSE = re.compile(
    r"(?P<fence>```|~~~).*?(?:(?P=fence)|\Z)|`[^`\n]*`"
    r"|\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\$[^$\n]*[\\^_{}=][^$\n]*\$"
    r"|\\[A-Za-z]+\*?(?:\{(?:[^{}\n]|\{[^{}\n]*\})*\})+"
    r"|\{\s*\"[^{}]*\}"
    r"|\b(?:https?://|www\.|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+/)[!-~]*[A-Za-z0-9/]"
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.\w+)+|</?[A-Za-z][^<>\n]*>",
    re.DOTALL,
)
# Lines of code or data outside of a block: statements, definitions, comparisons, assignments, queries, keys of JSON.
_CODE_LINE = re.compile(
    r"^.*(?:[{}]|\w\(.*\):?)\s*$"
    r"|^(?:.*(?:\w\(|[={}<>\[\]]).*|\s*\S+(?:\s\S+){0,2});\s*$"
    r"|^\s*(?:import|from|def|class|return|function|const|let|var|public|#include)\s\S*[\w.]+.*[(){}=<>:.].*$"
    r"|^\s*(?:import|from)\s\w+(?:\s(?:as|import)\s\w+)?\s*$"
    r"|^.*(?:==|!=|=>|->|&&|\|\||\+=).*$"
    r"|^\s*[\w.\[\]]+\s=\s.*$"
    r"|^\s*SELECT\s.*\sFROM\s.*$"
    r"|^\s*(?:\"[^\"\n]*\"\s*:|\[\s*\").*$",
    re.MULTILINE,
)
_MARKUP = re.compile(r"[*#|>~_]+")
_LATEX = re.compile(r"\\[A-Za-z]+\*?|\\[^A-Za-z]|\$\$?|[{}_^]")
QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|「[^」\n]*」|『[^』\n]*』")
_WORD = re.compile(r"(?<!\S)[^\w\s]*([^\W\d_])\S*")

# Scripts by the first word of their letters' names in Unicode. Chinese and Japanese count as written in one.
IDEOGRAPHS, HANGUL, _KANA = "CJK", "HANGUL", ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA")
_SCRIPTS = dict.fromkeys((*_KANA, "IDEOGRAPHIC"), IDEOGRAPHS)
_DENSE = (IDEOGRAPHS, HANGUL)
_WITHOUT_SPACES = {IDEOGRAPHS, "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}


class _DigitTable(dict[int, int]):
    """For str.translate: a digit or numeral of any script becomes a space."""

    def __missing__(self, code: int) -> int:
        self[code] = ord(" ") if unicodedata.category(chr(code)).startswith("N") else code
        return self[code]


_DIGITS = _DigitTable()


def prose(text: str) -> str:
    """The text without code, formulas, data, links, tags and markup."""
    return _MARKUP.sub(" ", _CODE_LINE.sub("\n", _NOT_PROSE.sub(" ", text)))


def letters(text: str) -> str:
    """The text without LaTeX's commands and without digits of any script."""
    return _LATEX.sub(" ", text).translate(_DIGITS)


def weight(text: str) -> int:
    """Letters and the vowel signs of Indic scripts, dense ones twice."""
    signs = (character for character in letters(text) if unicodedata.category(character)[0] in "LM")
    return sum(2 if script_of(sign) in _DENSE else 1 for sign in signs)


def without_names(text: str) -> str:
    """Without quotations and capitalised words, but for the first."""
    bare = QUOTED.sub(" ", text).lstrip()
    if bare.isupper():
        return bare
    return _WORD.sub(lambda word: " " if word[1].isupper() and word.start() else word[0], bare)


def has_words(text: str, is_whole: bool) -> bool:
    """Whether words of another language are more than a name, a title or a term, which have more capitals."""
    if scripts_of(text) & _WITHOUT_SPACES:
        return weight(text) >= (FEWEST_LETTERS if is_whole else 2 * FEWEST_LETTERS)
    initials = _WORD.findall(text)
    uncapitalised = sum(not initial.isupper() for initial in initials)
    if is_whole:
        return len(initials) >= SENTENCE_WORDS and 3 * uncapitalised >= len(initials)
    return len(initials) >= CLAUSE_WORDS and 2 * uncapitalised > len(initials)


def scripts_of(text: str) -> set[str]:
    """The scripts of the text's letters."""
    return {script_of(character) for character in set(text)} - {""}


@cache
def script_of(character: str) -> str:
    """A letter's script; of anything else an empty string."""
    name = _name(character) if character.isalpha() else ""
    return _SCRIPTS.get(name, name)


def kana(text: str) -> int:
    """How many letters are Japanese syllables."""
    return sum(character.isalpha() and _name(character) in _KANA for character in text)


@cache
def is_spaceless(character: str) -> bool:
    """Whether a letter or vowel sign is of a script that is written without spaces."""
    name = _name(character)
    return _SCRIPTS.get(name, name) in _WITHOUT_SPACES


def _name(character: str) -> str:
    """The script, as the name in Unicode begins."""
    name = unicodedata.name(character, "")
    return name.removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ").partition(" ")[0]
