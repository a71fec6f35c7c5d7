"""A bounded sample of pairs and drops to look at, the same for the same data.

    >>> sample.pairs()[0]["id"], sample.pairs()[0]["reason"]
    ('lab-17:es:en', 'translated_dominant')

Rows are drawn by the hash of their id within strata (language, language compared with, rule or reason, and for pairs
the outcome and the first thing that is wrong with them), and the strata take turns: rare kinds are shown more often
than they occur.
An entry holds all texts of its story that matter, as panes to be shown side by side.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import chain, zip_longest
from typing import Any

from lidr import config
from lidr.audit.facts import Facts
from lidr.audit.stories import Origins, Story, origins, rule_for
from lidr.records import Drop, Prompt, Response, Translation, pair_id

SIZE = 200

Entry = dict[str, Any]
Strata = dict[tuple[str, ...], list[tuple[int, str, Entry]]]


class Sample:
    """Keeps the rows with the smallest hashes of each stratum.

    One that comes after another, to be merged with it, keeps no row that could not be among the rows of both.
    """

    def __init__(self, settings: config.Settings, before: Sample | None = None) -> None:
        self._dominant = settings.dominant
        # The ranks of the best rows so far, of those before as well.
        self._best: dict[tuple[str, ...], list[int]] = before._best if before else {}
        # Enough to fill the sample where directions are the only strata.
        self._in_stratum = -(-SIZE // (2 * len(settings.languages)))
        self._pairs: Strata = {}
        self._drops: Strata = {}

    def add(self, story: Story, story_facts: Iterable[Facts]) -> None:
        """Offer the pairs and drops of one prompt."""
        for facts in story_facts:
            pair = facts.pair
            first_note = next(notes(facts), "")
            stratum: tuple[str, ...] = (pair.lang, pair.other_lang, pair.rule, facts.outcome, first_note)
            self._offer(self._pairs, stratum, pair.id, self._pair, story, facts)
        for drop in story.drops:
            stratum = (drop.reason, drop.lang, drop.other_lang)
            row_id = pair_id(drop.prompt_id, drop.lang, drop.other_lang)
            self._offer(self._drops, stratum, row_id, self._drop, story, drop)

    def merge(self, later: Sample) -> None:
        """Offer the rows that were kept of the prompts after these."""
        for kept, others in ((self._pairs, later._pairs), (self._drops, later._drops)):
            for stratum, rows in others.items():
                for rank, row_id, entry in rows:
                    self._keep(kept, stratum, rank, row_id, entry)

    def pairs(self) -> list[Entry]:
        """At most `SIZE` pairs, the strata in turn."""
        return _in_turn(self._pairs)

    def drops(self) -> list[Entry]:
        """At most `SIZE` drops, the strata in turn."""
        return _in_turn(self._drops)

    def _offer(
        self, kept: Strata, stratum: tuple[str, ...], row_id: str, make: Callable[..., Entry], *of: object
    ) -> None:
        # Negated: the heap's first row is the one to give way.
        rank = -int.from_bytes(sha256(row_id.encode()).digest()[:8], "big")
        best = self._best.setdefault(stratum, [])
        if len(best) < self._in_stratum:
            heapq.heappush(best, rank)
        elif rank > best[0]:
            heapq.heapreplace(best, rank)
        else:
            return
        self._keep(kept, stratum, rank, row_id, make(*of))

    def _keep(self, kept: Strata, stratum: tuple[str, ...], rank: int, row_id: str, entry: Entry) -> None:
        heap = kept.setdefault(stratum, [])
        if len(heap) < self._in_stratum:
            heapq.heappush(heap, (rank, row_id, entry))
        elif rank > heap[0][0]:
            heapq.heapreplace(heap, (rank, row_id, entry))

    def _pair(self, story: Story, facts: Facts) -> Entry:
        pair = facts.pair
        entry = self._entry(story, pair.lang, pair.other_lang)
        sides = [
            _pane(name, _whence(row), side.text, pair.lang, name, side.right)
            for name, row, side in (
                ("chosen", facts.origins.chosen, facts.chosen),
                ("rejected", facts.origins.rejected, facts.rejected),
            )
        ]
        return entry | {
            "kind": "pair",
            "reason": pair.rule.value,
            "outcome": facts.outcome.value,
            "notes": list(notes(facts)),
            "panes": sides + _provenance(story, facts.origins, pair.other_lang),
        }

    def _drop(self, story: Story, drop: Drop) -> Entry:
        rule = rule_for(story, drop.lang, self._dominant)
        made_from = origins(story, drop.lang, drop.other_lang, rule, self._dominant)
        sides = [
            _pane(name, _whence(row), row.text or "" if row else "", drop.lang, name, None)
            for name, row in (("chosen", made_from.chosen), ("rejected", made_from.rejected))
        ]
        return self._entry(story, drop.lang, drop.other_lang) | {
            "kind": "drop",
            "reason": drop.reason.value,
            "detail": drop.detail,
            "outcome": "",
            "notes": [],
            "panes": sides + _provenance(story, made_from, drop.other_lang),
        }

    def _entry(self, story: Story, lang: str, other_lang: str) -> Entry:
        prompt = story.prompts[lang]
        return {
            "id": pair_id(story.id, lang, other_lang),
            "lang": lang,
            "other_lang": other_lang,
            "source": f"{prompt.source.name}, row {prompt.source.row}",
            "gold": prompt.answer if isinstance(prompt.answer, str) else None,
            "prompts": [_prompt(story.prompts[lang]), _prompt(story.prompts[other_lang])],
        }


def notes(facts: Facts) -> Iterator[str]:
    """What is worth a look in a pair, in words."""
    for name, side in facts.sides():
        for flag in side.flags:
            yield f"{name}: {flag}"
        if side.off_target:
            yield f"{name}: off target ({side.found_lang})"
    if facts.near_identical:
        yield "near-identical"


def _in_turn(strata: Strata) -> list[Entry]:
    ordered = [sorted(strata[key], key=lambda row: (-row[0], row[1])) for key in sorted(strata)]
    rows = [row for row in chain.from_iterable(zip_longest(*ordered)) if row is not None]
    return [entry for _, _, entry in rows[:SIZE]]


def _prompt(prompt: Prompt) -> Entry:
    return _pane("prompt", prompt.lang, prompt.text, prompt.lang, "prompt", None)


def _provenance(story: Story, made_from: Origins, other_lang: str) -> list[Entry]:
    """For a side that is a translation: the answer that was translated, and the translation as it was written."""
    panes = []
    for row in (made_from.chosen, made_from.rejected):
        if row is None and other_lang in story.responses:
            answer = story.responses[other_lang]
            panes.append(_pane("not translated", _whence(answer), answer.text, other_lang, "provenance", None))
        if isinstance(row, Translation):
            source = story.responses.get(row.source_lang)
            if source is not None:
                panes.append(
                    _pane("translated from", _whence(source), source.text, row.source_lang, "provenance", None)
                )
            raw = _pane("translation as written", _whence(row), row.raw, row.target_lang, "provenance", None)
            panes.append(raw | {"source": ", ".join([raw["source"], *row.tolerated])})
    return panes


def _whence(row: Response | Translation | None) -> str:
    if row is None:
        return "no such row"
    ended = f"ended by {row.finish_reason.value}"
    if isinstance(row, Translation):
        return f"translation {row.source_lang} → {row.target_lang}, {ended}"
    return f"own answer in {row.lang}, {row.completion_tokens:,} tokens, {ended}"


def _pane(title: str, source: str, text: str, lang: str, role: str, right: bool | None) -> Entry:
    return {"title": title, "source": source, "text": text, "lang": lang, "role": role, "right": right}
