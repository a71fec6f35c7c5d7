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
from dataclasses import dataclass, field
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

    def add(self, share: float, text_id: str, exact: bool) -> None:
        self.texts += share >= NEAR or exact
        if (exact, share) > (self.exact, self.share):
            self.exact, self.share, self.id = exact, share, text_id


@dataclass
class _Item:
    """One evaluation item and its matches by kind of text."""

    evaluation: str
    prompt: Prompt
    ngrams: int
    matches: dict[str, _Match] = field(default_factory=lambda: {kind: _Match() for kind in KINDS})


class Contamination:
    """An index of all evaluation items, through which the training texts are passed one by one."""

    def __init__(self, evaluations: Evaluations) -> None:
        self._evaluations = evaluations
        self._items: list[_Item] = []
        self._by_words: dict[str, list[_Item]] = {}
        self._by_ngram: dict[str, list[_Item]] = {}
        self._lengths: set[int] = set()
        for name, prompts in evaluations.items():
            for prompt in prompts:
                self._index(name, prompt)

    def add(self, story: Story, story_facts: Sequence[Facts]) -> None:
        """Compare one prompt in all languages, and the chosen answers to it."""
        for prompt in story.prompts.values():
            self._compare(prompt.text, "prompt", prompt.id)
        chosen = {facts.chosen.text: facts.pair.id for facts in reversed(story_facts)}
        for text, pair_id in reversed(chosen.items()):
            self._compare(text, "chosen", pair_id)

    def figures(self) -> dict[str, Any]:
        """By benchmark and kind of text: items, how many overlap exactly, nearly, at all; the mean greatest share."""
        return {
            name: {"items": len(prompts), "languages": len({p.lang for p in prompts})}
            | {kind: self._of(name, kind) for kind in KINDS}
            for name, prompts in self._evaluations.items()
            if prompts
        }

    def overlaps(self) -> list[Overlap]:
        """The items that overlap exactly or nearly."""
        return [
            Overlap(
                evaluation=item.evaluation,
                item=item.prompt.id,
                lang=item.prompt.lang,
                kind=kind,
                exact=match.exact,
                share=round(match.share, 6),
                texts=match.texts,
                id=match.id,
            )
            for item in self._items
            for kind, match in item.matches.items()
            if match.texts
        ]

    def _index(self, name: str, prompt: Prompt) -> None:
        item_words = words(prompt.text)
        grams = ngrams(item_words)
        item = _Item(name, prompt, len(grams))
        self._items.append(item)
        self._by_words.setdefault(" ".join(item_words), []).append(item)
        self._lengths.add(ngram_length(item_words))
        for gram in grams:
            self._by_ngram.setdefault(gram, []).append(item)

    def _compare(self, text: str, kind: str, text_id: str) -> None:
        text_words = words(text)
        shared: Counter[int] = Counter()
        items: dict[int, _Item] = {}
        # A text may quote an item of another script, so it is cut in the ways of all items.
        for length in sorted(self._lengths):
            for gram in ngrams(text_words, length):
                for item in self._by_ngram.get(gram, ()):
                    shared[id(item)] += 1
                    items[id(item)] = item
        exact = {id(item): item for item in self._by_words.get(" ".join(text_words), ())}
        for key, item in (items | exact).items():
            share = shared[key] / item.ngrams if item.ngrams else 1.0
            item.matches[kind].add(share, text_id, key in exact)

    def _of(self, name: str, kind: str) -> dict[str, Any]:
        items = [item for item in self._items if item.evaluation == name]
        matches = [item.matches[kind] for item in items]
        return {
            "exact": sum(match.exact for match in matches),
            "near": sum(bool(match.texts) for match in matches),
            "any": sum(match.share > 0 for match in matches),
            "mean_share": sum(match.share for match in matches) / len(matches),
            "too_short": sum(not item.ngrams for item in items),
        }
