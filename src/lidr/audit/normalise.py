"""Texts made comparable: one spelling of letters, words in every script, and how alike two texts are.

    >>> words("¿Qué número es MAYOR, 34 o 61?")
    ['qué', 'número', 'es', 'mayor', '34', 'o', '61']
    >>> words("ねこが3匹")
    ['ね', 'こ', 'が', '3', '匹']
    >>> similarity("The answer is 59.", "The answer is 58.")
    0.8666666666666667

Scripts that are written without spaces have no words to cut at, so each of their characters counts as one.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

# An n-gram is this many words, or this many characters of a script without spaces (about as much text).
WORDS, CHARACTERS = 5, 10

_SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


class _WordTable(dict[int, str]):
    """For str.translate: punctuation becomes a space, marks that nobody sees vanish, characters that are words part."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        kind = unicodedata.category(letter)
        if kind == "Cf":
            word = ""
        elif kind[0] in "PSZC":
            word = " "
        else:
            word = f" {letter} " if _is_spaceless(letter) and kind[0] != "N" else letter
        self[code] = word
        return word


_TABLE = _WordTable()


def fold(text: str) -> str:
    """One spelling: compatibility forms (NFKC), no upper case, one space for any white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """The words of a text, without punctuation; single characters where a script has no spaces."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_TABLE).split()


def ngrams(text_words: Sequence[str], length: int | None = None) -> set[str]:
    """All distinct n-grams; none where the text is shorter than one."""
    n = length or ngram_length(text_words)
    return {" ".join(text_words[i : i + n]) for i in range(len(text_words) - n + 1)}


def ngram_length(text_words: Sequence[str]) -> int:
    """`CHARACTERS` where most words are characters of a script without spaces, else `WORDS`."""
    single = sum(len(word) == 1 and _is_spaceless(word) for word in text_words)
    return CHARACTERS if 2 * single > len(text_words) else WORDS


def similarity(first: str, second: str, at_least: float = 0.0) -> float:
    """Dice's coefficient of the character trigrams of both texts, folded: 0 nothing in common, 1 the same.

    Linear in the length of the texts. Where their lengths alone rule out `at_least`, the answer is 0.
    """
    first, second = fold(first), fold(second)
    if first == second:
        return 1.0
    sizes = max(len(first) - 2, 0), max(len(second) - 2, 0)
    if not all(sizes) or 2 * min(sizes) < at_least * sum(sizes):
        return 0.0
    return 2 * (_trigrams(first) & _trigrams(second)).total() / sum(sizes)


def _trigrams(text: str) -> Counter[str]:
    return Counter(map("".join, zip(text, text[1:], text[2:], strict=False)))


def _is_spaceless(letter: str) -> bool:
    code = ord(letter)
    return code >= _SPACELESS[0][0] and any(low <= code <= high for low, high in _SPACELESS)
