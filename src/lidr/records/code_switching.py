"""Code-switching: which sentences of a text are in another language than the one that was asked for.

    >>> sentences("Anna tiene 34 manzanas. She gives eleven of them away.", "es", ["en", "es"])
    [Sentence(text='Anna tiene 34 manzanas.', other=False),
     Sentence(text='She gives eleven of them away.', other=True)]
    >>> count("Anna tiene 34 manzanas. She gives eleven of them away.", "es", ["en", "es"])
    Sentences(judged=2, other=1)

The text's prose alone is looked at (`records.prose`), and `langid` judges each sentence. Words of another script amid a
sentence are names or loan words and are ignored, unless there are as many in a row as a clause has: that is a sentence
of its own, which also finds a switch where no mark ends a sentence, as in Thai.

Not judged (`other` is None, or no sentence at all) is what has too few letters, and a heading, a title or a term of
another language. A text without a judged sentence abstains.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from lidr.records import langid
from lidr.records.prose import QUOTED, has_words, prose, script_of, scripts_of

# Marks that end a sentence where a space follows, and those that need none.
_SPACED, _UNSPACED = ".!?…؟", "。！？｡।॥۔។៕"
_END = re.compile(rf"(?<=[{_SPACED}])[\"'”’»)\]]*\s+|(?<=[{_UNSPACED}])|[\n\r\u2028\u2029]+")


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
    own = langid.writing(lang)
    found = []
    for sentence in filter(None, map(str.strip, _END.split(prose(text)))):
        words, clauses = _by_script(sentence, own)
        if words:
            code = langid.of_passage(words, lang, candidates, is_whole=_has_end(words))
            found.append(Sentence(words, None if code is None else code != langid.primary(lang)))
        # A clause may be in the language all the same: some have a second script, in which their name is not written.
        found += [Sentence(clause, langid.likeliest(clause) != langid.primary(lang)) for clause in clauses]
    return found


def _has_end(sentence: str) -> bool:
    return sentence[-1] in _SPACED + _UNSPACED


def _by_script(sentence: str, own: frozenset[str]) -> tuple[str, list[str]]:
    """What is in the language's own scripts, without words of another, and the clauses that are in another."""
    if scripts_of(sentence) <= own:
        return sentence, []
    unquoted = QUOTED.sub(" ", sentence)
    is_whole = _has_end(sentence) and not own & scripts_of(unquoted)
    runs = _runs(unquoted)
    clauses = [run for script, run in runs if script not in own and has_words(run, is_whole)]
    return " ".join(run for script, run in runs if script in own), clauses


def _runs(text: str) -> list[tuple[str, str]]:
    """Stretches of one script, each with the marks around its letters."""
    runs: list[tuple[str, list[str]]] = [("", [])]
    for character in text:
        script = script_of(character)
        last, run = runs[-1]
        if script and last and script != last:
            runs.append((script, [character]))
        else:
            run.append(character)
            runs[-1] = last or script, run
    return [(script, "".join(run).strip()) for script, run in runs]
