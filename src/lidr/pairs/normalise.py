"""Texts made comparable: one spelling of letters, words in every script, and how alike two texts are.

    >>> words("¿Qué número es MAYOR, 34 o 61?")
    ['qué', 'número', 'es', 'mayor', '34', 'o', '61']
    >>> words("ねこが3匹")
    ['ね', 'こ', 'が', '3', '匹']
    >>> is_similar(comparable("The answer is 59."), comparable("The answer is 58."), at_least=0.86)
    True

Scripts that are written without spaces have no words to cut at, so each of their characters counts as one.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from lidr.records.prose import is_spaceless

# Two texts this much alike are near-identical. DPO is known to lower the likelihood of both where such pairs are many.
NEAR_IDENTICAL = 0.9

# An n-gram is this many words, or this many characters of a script without spaces (about as much text).
WORDS, CHARACTERS = 5, 10


class _WordTable(dict[int, int | str]):
    """For str.translate: punctuation becomes a space, invisible marks vanish, characters that are words are separated.

    One character as its number is faster than as text.
    """

    def __missing__(self, code: int) -> int | str:
        letter = chr(code)
        kind = unicodedata.category(letter)
        if kind == "Cf":
            self[code] = ""
        elif kind[0] in "PSZC":
            self[code] = ord(" ")
        else:
            self[code] = f" {letter} " if is_spaceless(letter) and kind[0] != "N" else code
        return self[code]


_TABLE = _WordTable()


def words(text: str) -> list[str]:
    """The words of a text, without punctuation; single characters where a script has no spaces."""
    return one_case(text).translate(_TABLE).split()


def one_case(text: str) -> str:
    """One spelling of letters: compatibility forms (NFKC), no upper case."""
    return unicodedata.normalize("NFKC", text).casefold()


def ngrams(text_words: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    """All n-grams of this length as they stand; none where the text is shorter than one."""
    return zip(*[text_words[i:] for i in range(length)], strict=False)


def ngram_length(text_words: Sequence[str]) -> int:
    """`CHARACTERS` where most words are characters of a script without spaces, else `WORDS`."""
    single = sum(len(word) == 1 and is_spaceless(word) for word in text_words)
    return CHARACTERS if 2 * single > len(text_words) else WORDS


class Comparable(Struct, frozen=True, gc=False):
    """A text in all the ways in which it is compared with others.

    As it is; folded, which is in one case and with one space for any white space; and as words.
    """

    text: str
    folded: str
    words: list[str]


def comparable(text: str) -> Comparable:
    """The text made comparable, once for all comparisons."""
    spelled = one_case(text)
    return Comparable(text, " ".join(spelled.split()), spelled.translate(_TABLE).split())


def is_similar(first: Comparable, second: Comparable, at_least: float = NEAR_IDENTICAL) -> bool:
    """Whether Dice's coefficient of the character trigrams of both texts, folded, is `at_least` or more.

    It is 0 where they have nothing in common, 1 for the same. Nothing is counted where the lengths rule it out.
    """
    one, other = first.folded, second.folded
    if one == other:
        return True
    sizes = len(one) - 2, len(other) - 2
    if min(sizes) < 1 or 2 * min(sizes) / sum(sizes) < at_least:
        return False
    trigrams, others = (Counter(zip(text, text[1:], text[2:], strict=False)) for text in (one, other))
    return 2 * (trigrams & others).total() / sum(sizes) >= at_least
