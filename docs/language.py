"""How well code-switching is found, on texts whose sentences are of known languages: the tables of docs/language.md.

python docs/language.py     print them (docs/generate.py writes them into the document)

A text has four sentences in its language. None, one, two or all of them are replaced by sentences of another one, and
what is no other language is put in: names, a quoted title, a loan word, code, a formula, a link. The lab's sentences
are always there; MGSM's questions are read where LIDR_PAPER_DATA names a folder that has them.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from lidr.lab import world
from lidr.records.code_switching import sentences
from lidr.records.langid import is_off_target

MGSM = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
PARTS, REPLACED = 4, (0, 1, 2, 4)
TEXTS = 120  # a language

# What is put into a sentence of any language, or stands on lines of its own.
WITHIN = (
    "",
    " (Jean-Luc Lefèvre, María Rodríguez)",
    " (machine learning)",
    ' ("Harry Potter and the Goblet of Fire")',
    " `for item in items: print(item)`",
    r" \(\text{number of all the items} = 34 + 25\)",
    " https://example.com/how/to/count/apples/and/pears",
)
BESIDE = (
    "",
    "```python\nfor item in the_items:\n    print(item)  # show it to the user\n```",
    "Microsoft Excel, Google Docs",
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？।])")


@dataclass(frozen=True)
class Text:
    """A text asked for in `lang`, sentence by sentence with the language that each is in."""

    lang: str
    parts: tuple[tuple[str, str], ...]
    beside: str

    @property
    def text(self) -> str:
        return f"{' '.join(part for part, _ in self.parts)}\n{self.beside}"

    @property
    def share(self) -> float:
        return fmean(lang != self.lang for _, lang in self.parts)


@dataclass
class Counts:
    """Sentences of another language found and not found, the language's own taken for another's, and shares' errors."""

    found: int = 0
    missed: int = 0
    false: int = 0
    errors: tuple[float, ...] = ()

    @property
    def precision(self) -> float:
        return self.found / max(self.found + self.false, 1)

    @property
    def recall(self) -> float:
        return self.found / max(self.found + self.missed, 1)

    @property
    def error(self) -> float:
        return fmean(self.errors)


def lab_texts() -> list[Text]:
    """Texts of the lab's problems and their answers, in its languages."""
    tasks = list(world.tasks("evaluation", world.PROBLEMS, TEXTS, seed=1))
    texts = {lang: [f"{task.prompt(lang)} {task.answer(lang)}" for task in tasks] for lang in world.languages()}
    return list(mixed(texts))


def mgsm_texts(folder: Path) -> list[Text]:
    """Texts of MGSM's questions, in eleven languages."""
    files = {lang: (folder / "mgsm" / f"mgsm_{lang}.jsonl").read_text("utf-8").splitlines() for lang in MGSM}
    return list(mixed({lang: [json.loads(line)["query"] for line in lines] for lang, lines in files.items()}))


def mixed(texts: Mapping[str, Sequence[str]]) -> Iterator[Text]:
    """`TEXTS` texts in each language, each with sentences of one other language in turn; always the same ones."""
    by_language = {lang: [part for text in own for part in _split(text)] for lang, own in texts.items()}
    for lang in by_language:
        rng = random.Random(lang)
        others = [other for other in by_language if other != lang]
        for number in range(TEXTS):
            other, replaced = others[number % len(others)], REPLACED[number // len(others) % len(REPLACED)]
            languages = [other] * replaced + [lang] * (PARTS - replaced)
            rng.shuffle(languages)
            parts = [(rng.choice(by_language[each]), each) for each in languages]
            yield Text(lang, tuple(_with_names(parts, lang, rng)), rng.choice(BESIDE))


def _with_names(parts: list[tuple[str, str]], lang: str, rng: random.Random) -> list[tuple[str, str]]:
    """The same sentences, one of the language's own with something that is no other language before its end."""
    place = next((place for place, (_, its) in enumerate(parts) if its == lang), None)
    if place is None:
        return parts
    text = parts[place][0]
    end = len(text.rstrip(".!?。！？।"))
    return [*parts[:place], (text[:end] + rng.choice(WITHIN) + text[end:], lang), *parts[place + 1 :]]


def by_sentence(texts: Iterable[Text], languages: Sequence[str]) -> dict[str, Counts]:
    """What `code_switching.sentences` finds, by language."""
    counts = {lang: Counts() for lang in languages}
    for text in texts:
        found = sentences(text.text, text.lang, languages)
        others = [sentence.text for sentence in found if sentence.other]
        judged = sum(sentence.other is not None for sentence in found)
        own = counts[text.lang]
        for part, lang in text.parts:
            prose = " ".join(sentence.text for sentence in sentences(part, text.lang, languages))
            _tally(own, lang != text.lang, bool(prose) and any(prose in other or other in prose for other in others))
        own.errors += (abs(text.share - len(others) / max(judged, 1)),)
    return counts


def by_label(texts: Iterable[Text], languages: Sequence[str]) -> dict[str, Counts]:
    """What one label for the whole text finds, as the off-target rate gives it."""
    counts = {lang: Counts() for lang in languages}
    for text in texts:
        is_other = is_off_target(text.text, text.lang, languages)
        for _, lang in text.parts:
            _tally(counts[text.lang], lang != text.lang, is_other)
        counts[text.lang].errors += (abs(text.share - is_other),)
    return counts


def _tally(counts: Counts, is_other: bool, is_found: bool) -> None:
    counts.found += is_other and is_found
    counts.missed += is_other and not is_found
    counts.false += is_found and not is_other


def _split(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def table(texts: Sequence[Text], languages: Sequence[str]) -> str:
    """Both methods side by side, by language."""
    lines = [
        "| asked in | precision | recall | error of the share | one label: precision | recall | error of the share |",
        f"|---|{'--:|' * 6}",
    ]
    found, label = by_sentence(texts, languages), by_label(texts, languages)
    for lang in languages:
        figures = [f"{x:.3f}" for c in (found[lang], label[lang]) for x in (c.precision, c.recall, c.error)]
        lines.append(f"| {lang} | {' | '.join(figures)} |")
    return "\n".join(lines)


def tables() -> dict[str, str]:
    """The lab's table, and MGSM's where its questions are."""
    made = {"lab": table(lab_texts(), world.languages())}
    if folder := os.environ.get("LIDR_PAPER_DATA"):
        made["mgsm"] = table(mgsm_texts(Path(folder)), MGSM)
    return made


if __name__ == "__main__":
    for name, made in tables().items():
        sys.stdout.write(f"{name}:\n\n{made}\n\n")
