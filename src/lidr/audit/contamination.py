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

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
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
        self._by_words: dict[str, list[int]] = {}
        self._by_ngram: dict[str, list[int]] = {}
        lengths: set[int] = set()
        for number, (_, prompt) in enumerate(self.items):
            item_words = words(prompt.text)
            length = ngram_length(item_words)
            grams = ngrams(item_words, length)
            self.ngram_counts.append(len(grams))
            self._by_words.setdefault(" ".join(item_words), []).append(number)
            lengths.add(length)
            for gram in grams:
                self._by_ngram.setdefault(gram, []).append(number)
        self._lengths = sorted(lengths)

    def numbers(self, evaluation: str) -> list[int]:
        """The items of one evaluation."""
        return [number for number, (name, _) in enumerate(self.items) if name == evaluation]

    def matches(self, text_words: Sequence[str]) -> list[tuple[int, float, bool]]:
        """Each item that these words have something of: its number, the share of its n-grams, if it is all of them."""
        # A text may quote an item of another script, so it is cut in the ways of all items.
        grams = [gram for length in self._lengths for gram in ngrams(text_words, length) if gram in self._by_ngram]
        shared = Counter(chain.from_iterable(map(self._by_ngram.__getitem__, grams)))
        exact = self._by_words.get(" ".join(text_words), ())
        found = [(number, n / self.ngram_counts[number], number in exact) for number, n in shared.items()]
        # Items shorter than an n-gram have none to share.
        return found + [(number, 1.0, True) for number in exact if number not in shared]


class Contamination:
    """The training texts most like each item of an index."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, _Match]] = {kind: {} for kind in KINDS}

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
        found = self._found[kind]
        for number, share, exact in index.matches(text_words):
            match, near = found.get(number), share >= NEAR or exact
            if match is None:
                match = found[number] = _Match()
            elif not near and share <= match.share:
                continue  # a common phrase, as most matches are
            match.add(share, text_id, exact, texts=near)

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
