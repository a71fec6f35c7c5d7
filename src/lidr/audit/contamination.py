"""Contamination: exact and n-gram overlap of the training texts with every evaluation item.

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

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lidr import config
from lidr.pairs.normalise import ngram_length, ngrams, words
from lidr.records import Prompt, Record

# At 0.8, short items of one template that share their first number already count (seen in the lab).
NEAR = 0.9
KINDS = ("prompt", "chosen")

# The evaluation items by benchmark.
Evaluations = Mapping[str, Sequence[Prompt]]
# Of one text: the greatest share of an item's n-grams that it holds, and that item.
Nearest = tuple[float, str]


class Match(NamedTuple):
    """Of texts of one kind, the one most like an item, by the item's number in the index: `texts` of them are near."""

    kind: str
    number: int
    exact: bool
    share: float
    id: str
    texts: int


Best = dict[tuple[str, int], Match]


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
    """The items of all benchmarks that know theirs, without the wording that a style puts around them."""
    from lidr.evaluation.registry import benchmarks

    items = {benchmark.name: benchmark.prompts(settings) for benchmark in benchmarks()}
    return {name: prompts for name, prompts in items.items() if prompts}


class Index:
    """All evaluation items, numbered as they come, by their words and n-grams; texts are looked up in it."""

    def __init__(self, evaluations: Evaluations) -> None:
        self.items = [(name, prompt) for name, prompts in evaluations.items() for prompt in prompts]
        self.ngram_counts: list[int] = []
        self._by_words: defaultdict[str, list[int]] = defaultdict(list)
        self._by_ngram: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._lengths: set[int] = set()
        for number, (_, prompt) in enumerate(self.items):
            item_words = words(prompt.text)
            length = ngram_length(item_words)
            grams = set(ngrams(item_words, length))
            self.ngram_counts.append(len(grams))
            self._by_words[" ".join(item_words)].append(number)
            self._lengths.add(length)
            for gram in grams:
                self._by_ngram[gram].append(number)

    def compare(self, text_words: Sequence[str], kind: str, text_id: str, best: Best) -> Nearest | None:
        """Keep in `best` what one text has in common with the items; returns the item that it is most like, if any."""
        same = self._by_words.get(" ".join(text_words), [])
        shares = self._shares(text_words) | dict.fromkeys(same, 1.0)
        if not shares:
            return None
        # Sorted, so that of equals the first item is taken: n-grams come in the order of a set.
        numbers = sorted(shares)
        for number in numbers:
            share, known = shares[number], best.get((kind, number))
            # Most texts are less like an item than an earlier one.
            if known is None or share > known.share or share >= NEAR:
                _keep(best, Match(kind, number, number in same, share, text_id, int(share >= NEAR)))
        most_like = max(numbers, key=lambda number: (number in same, shares[number]))
        evaluation, prompt = self.items[most_like]
        return shares[most_like], f"{evaluation}:{prompt.id}:{prompt.lang}"

    def _shares(self, text_words: Sequence[str]) -> dict[int, float]:
        """The share of its n-grams that these words hold, of each item that they have any in common with."""
        shared: Counter[int] = Counter()
        # A text may quote an item of another script, so it is cut in the ways of all items.
        for length in self._lengths:
            for gram in set(ngrams(text_words, length)) & self._by_ngram.keys():
                shared.update(self._by_ngram[gram])
        return {number: n / self.ngram_counts[number] for number, n in shared.items()}


def nearest(matches: Iterable[Match]) -> Best:
    """The matches of all texts, in their order, as one for each kind of text and item that any is like."""
    best: Best = {}
    for match in matches:
        _keep(best, match)
    return best


def _keep(best: Best, match: Match) -> None:
    """Keep the better match of a kind and item, the first of equals; numbers of near texts add up."""
    key = match.kind, match.number
    known = best.get(key)
    if known is not None:
        nearer = match if (match.exact, match.share) > (known.exact, known.share) else known
        match = nearer._replace(texts=known.texts + match.texts)
    best[key] = match


def figures(index: Index, best: Best) -> dict[str, Any]:
    """By benchmark and kind of text: items, how many overlap exactly, nearly, at all; the mean greatest share."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _ in index.items):
        numbers = [number for number, (evaluation, _) in enumerate(index.items) if evaluation == name]
        languages = {index.items[number][1].lang for number in numbers}
        found[name] = {"items": len(numbers), "languages": len(languages)}
        for kind in KINDS:
            matches = [best[kind, number] for number in numbers if (kind, number) in best]
            found[name][kind] = {
                "exact": sum(match.exact for match in matches),
                "near": sum(match.texts > 0 for match in matches),
                "any": len(matches),
                "mean_share": sum(match.share for match in matches) / len(numbers),
                "too_short": sum(not index.ngram_counts[number] for number in numbers),
            }
    return found


def overlaps(index: Index, best: Best) -> list[Overlap]:
    """The items that overlap exactly or nearly, in the order of the items."""
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
        if (match := best.get((kind, number))) is not None and match.texts
    ]
