"""Whether the training texts give away the evaluation: exact and n-gram overlap with every evaluation item.

    reports/m1/audit/contamination.jsonl, a line for each item and kind of text that overlaps:
    {"evaluation":"mgsm","item":"lab-12","lang":"es","kind":"prompt","exact":true,"share":1.0,"texts":1,"id":"lab-907"}

Texts are compared as words (`normalise.words`: folded, without punctuation; characters where a script has no spaces).
- *Exact*: the same words from first to last.
- *Near*: one training text holds `NEAR` or more of the item's distinct n-grams (5 words, or 10 characters of a script
  without spaces). The share is taken within ONE text: in a corpus made from templates, such as the lab's, every n-gram
  of an item that holds none of its own numbers or names is found somewhere, and a count over the whole corpus would
  call every item contaminated.
- *Any*: one n-gram or more in common, the mark of a common template or a stock phrase. Expected, and told apart.
Items shorter than an n-gram are checked for exact overlap only. Texts compared are the prompts of all languages and
the chosen answers; an item of any language is found in a text of any language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from lidr import config
from lidr.audit.facts import Facts
from lidr.audit.normalise import ngram_length, ngrams, words
from lidr.audit.stories import Story
from lidr.records import Prompt, Record

# At 0.8, short items of one template that share their first number already count (seen in the lab).
NEAR = 0.9
KINDS = ("prompt", "chosen")

# The evaluation items by benchmark.
Evaluations = Mapping[str, Sequence[Prompt]]


class Overlap(Record, frozen=True):
    """One evaluation item and the training text most like it: how many texts are near, and the first of the nearest."""

    evaluation: str
    item: str
    lang: str
    kind: str
    exact: bool
    share: float
    texts: int
    id: str


def evaluation_items(settings: config.Settings) -> dict[str, list[Prompt]]:
    """The items of both benchmarks, problems without the wording that a style puts around them."""
    from lidr.evals import baseline, mgsm

    plain = msgspec.structs.replace(settings.mgsm, style="paper", examples=0)
    return {
        "mgsm": mgsm.prompts(msgspec.structs.replace(settings, mgsm=plain)),
        "alpaca": baseline.instructions(settings),
    }


@dataclass
class _Match:
    """The training texts most like one item, as far as they have been read."""

    share: float = 0.0
    id: str = ""
    exact: bool = False
    texts: int = 0

    def add(self, share: float, text_id: str, exact: bool, texts: int) -> None:
        """Another text, or the best of some texts, of which so many are near; the first of equals stays."""
        self.texts += texts
        if (exact, share) > (self.exact, self.share):
            self.exact, self.share, self.id = exact, share, text_id


class Index:
    """All evaluation items, numbered as they come, by their words and n-grams; texts are looked up in it."""

    def __init__(self, evaluations: Evaluations) -> None:
        self.items = [(name, prompt) for name, prompts in evaluations.items() for prompt in prompts]
        self.ngram_counts: list[int] = []
        self.near_counts: list[int] = []  # n-grams that make a text near
        self._by_words: dict[str, list[int]] = {}
        self._by_ngram: dict[tuple[str, ...], list[int]] = {}
        lengths: set[int] = set()
        for number, (_, prompt) in enumerate(self.items):
            item_words = words(prompt.text)
            length = ngram_length(item_words)
            grams = set(ngrams(item_words, length))
            self.ngram_counts.append(len(grams))
            self.near_counts.append(_near_count(len(grams)))
            self._by_words.setdefault(" ".join(item_words), []).append(number)
            lengths.add(length)
            for gram in grams:
                self._by_ngram.setdefault(gram, []).append(number)
        self._lengths = sorted(lengths)

    def numbers(self, evaluation: str) -> list[int]:
        """The items of one evaluation."""
        return [number for number, (name, _) in enumerate(self.items) if name == evaluation]

    def shared(self, text_words: Sequence[str]) -> Mapping[int, int]:
        """How many n-grams these words have in common with each item that they have any in common with."""
        shared: dict[int, int] = {}
        # A text may quote an item of another script, so it is cut in the ways of all items.
        for length in self._lengths:
            for gram in set(filter(self._by_ngram.__contains__, ngrams(text_words, length))):
                for number in self._by_ngram[gram]:
                    shared[number] = shared.get(number, 0) + 1
        return shared

    def same(self, text_words: Sequence[str]) -> Sequence[int]:
        """The items that have these words from first to last."""
        return self._by_words.get(" ".join(text_words), ())


class Contamination:
    """The training texts most like each item of an index.

    One that comes after another, to be merged with it, leaves out what is no better than what that one has found.
    """

    def __init__(self, before: Contamination | None = None) -> None:
        self._found: dict[str, dict[int, _Match]] = {kind: {} for kind in KINDS}
        # How many n-grams in common with an item make a text count: as many as make it near, or more than any so far.
        self._least: dict[str, dict[int, int]] = before._least if before else {kind: {} for kind in KINDS}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_least": {}}  # of no use where it is merged

    def add(self, index: Index, story: Story, story_facts: Sequence[Facts]) -> None:
        """Compare one prompt in all languages, and the chosen answers to it."""
        for prompt in story.prompts.values():
            self._compare(index, words(prompt.text), "prompt", prompt.id)
        seen: set[str] = set()
        for facts in story_facts:
            content = facts.chosen.content
            if content.text not in seen:
                seen.add(content.text)
                self._compare(index, content.words, "chosen", facts.pair.id)

    def merge(self, later: Contamination) -> None:
        """Add what was found in the texts after these."""
        for kind, matches in later._found.items():
            for number, match in matches.items():
                self._match(number, kind).add(match.share, match.id, match.exact, match.texts)

    def figures(self, index: Index) -> dict[str, Any]:
        """By benchmark and kind of text: items, how many overlap exactly, nearly, at all; the mean greatest share."""
        figures: dict[str, Any] = {}
        for name in dict.fromkeys(name for name, _ in index.items):
            numbers = index.numbers(name)
            languages = {index.items[number][1].lang for number in numbers}
            figures[name] = {"items": len(numbers), "languages": len(languages)}
            figures[name] |= {kind: self._of(index, numbers, kind) for kind in KINDS}
        return figures

    def overlaps(self, index: Index) -> list[Overlap]:
        """The items that overlap exactly or nearly."""
        return [
            Overlap(
                evaluation=name,
                item=prompt.id,
                lang=prompt.lang,
                kind=kind,
                exact=match.exact,
                share=round(match.share, 6),
                texts=match.texts,
                id=match.id,
            )
            for number, (name, prompt) in enumerate(index.items)
            for kind in KINDS
            if (match := self._match(number, kind)).texts
        ]

    def _compare(self, index: Index, text_words: Sequence[str], kind: str, text_id: str) -> None:
        least, same = self._least[kind], index.same(text_words)
        for number, n in index.shared(text_words).items():
            if n >= least.get(number, 1):  # most have a common phrase, as others had before
                least[number], count = min(n + 1, index.near_counts[number]), index.ngram_counts[number]
                near = n >= index.near_counts[number]
                self._match(number, kind).add(n / count, text_id, number in same, texts=near)
        for number in same:
            if not index.ngram_counts[number]:  # too short to have an n-gram in common
                self._match(number, kind).add(1.0, text_id, exact=True, texts=1)

    def _match(self, number: int, kind: str) -> _Match:
        return self._found[kind].setdefault(number, _Match())

    def _of(self, index: Index, numbers: Sequence[int], kind: str) -> dict[str, Any]:
        matches = [self._match(number, kind) for number in numbers]
        return {
            "exact": sum(match.exact for match in matches),
            "near": sum(bool(match.texts) for match in matches),
            "any": sum(match.share > 0 for match in matches),
            "mean_share": sum(match.share for match in matches) / len(matches),
            "too_short": sum(not index.ngram_counts[number] for number in numbers),
        }


@cache
def _near_count(count: int) -> int:
    """How many of so many n-grams are `NEAR` or more of them."""
    return next((n for n in range(1, count + 1) if n / count >= NEAR), 0)
