"""Stage `pairs`: preference pairs from answers and translations, and the reason for each pair that could not be made.

    $ lidr pairs m1
    pairs m1: 2,214 pairs + 186 drops = 300 prompts x 8 directions
      identical 121 · unparsed 65

    data/m1/pairs/pairs.jsonl:
    {"id":"lab-0:es:en","prompt":[{"role":"user","content":"¿Qué número ..."}],"chosen":[...],"rejected":[...],
     "prompt_id":"lab-0","lang":"es","other_lang":"en","rule":"translated_dominant",
     "chosen_from":"translation:lab-0:en-es","rejected_from":"response:lab-0:es"}
    data/m1/pairs/drops.jsonl:
    {"prompt_id":"lab-1","lang":"en","other_lang":"es","stage":"pairs","reason":"unparsed","detail":"rejected: ...",
     "chosen_from":"response:lab-1:en","rejected_from":"translation:lab-1:es-en"}

`rules` says which rows make a pair, `filters` which pairs are dropped. Rows are joined by id, in memory, whatever their
order in the files; pairs and drops are written in the order of the dominant language's prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from lidr import config, paths
from lidr.errors import LidrError
from lidr.pairs import filters, rules, texts
from lidr.pairs.filters import Candidate, Side
from lidr.pairs.rules import Sides
from lidr.pairs.texts import NoPair, Texts
from lidr.progress import bar
from lidr.records import Drop, DropReason, Message, Pair, Prompt, pair_id
from lidr.records.draw import drawn
from lidr.records.jsonl import atomic_folder, write_rows

STAGE = "pairs"


@dataclass(frozen=True)
class Counts:
    """How many pairs were made, and how many were not, by reason; of so many directions for each prompt."""

    pairs: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    directions: int = 0


def run(settings: config.Settings, iteration: str) -> Counts:
    """Write pairs and drops of the iteration, in prompt order, and count them."""
    settings = settings.of_iteration(iteration)
    maker = _Maker(settings, read_texts(settings, iteration))
    drops: list[Drop] = []

    def pairs() -> Iterator[Pair]:
        """The pairs as they are written; the drops are kept."""
        for prompt in maker.prompts:
            for row in maker.rows(prompt):
                if isinstance(row, Pair):
                    yield row
                else:
                    drops.append(row)
            advance(1)

    with (
        bar(f"pairs {iteration}", len(maker.prompts), "prompt") as advance,
        atomic_folder(paths.pairs(iteration)) as to,
    ):
        count = write_rows(to / paths.PAIRS, pairs())
        write_rows(to / paths.DROPS, drops)
    return Counts(count, Counter(drop.reason for drop in drops), len(maker.directions))


def read_texts(settings: config.Settings, iteration: str) -> Texts:
    """Read what an iteration's pairs are made of, by id; `settings` are the iteration's own."""
    return texts.read(settings, settings.iteration(iteration).data)


def make(settings: config.Settings, found: Texts) -> tuple[list[Pair], list[Drop]]:
    """A pair or a drop for each prompt and direction: len(pairs) + len(drops) = prompts x directions, always.

    `settings` are the iteration's own.
    """
    maker = _Maker(settings, found)
    rows = [row for prompt in maker.prompts for row in maker.rows(prompt)]
    return [row for row in rows if isinstance(row, Pair)], [row for row in rows if isinstance(row, Drop)]


class _Maker:
    """Makes pairs by the rule and the filters of the block `pairs`."""

    def __init__(self, settings: config.Settings, found: Texts) -> None:
        options = settings.pairs
        self._dominant, self._languages = settings.dominant, settings.all_languages
        self._texts, self._dominant_pairs = found, options.dominant_per_prompt
        self._rule, self._choose = options.rule, rules.RULES[options.rule].prepare(found, settings.dominant)
        self._objection = filters.enabled(options.filters)
        self.directions = rules.directions(options, settings.dominant, settings.languages)
        self.prompts = list(found.prompts[settings.dominant].values())

    def rows(self, prompt: Prompt) -> Iterator[Pair | Drop]:
        """The pairs and drops of a prompt; of too many pairs in the dominant language some are drops, by their hash."""
        rows = [self._row(prompt, *direction) for direction in self.directions]
        made = {row.id for row in rows if isinstance(row, Pair) and row.lang == self._dominant}
        left_out = made - drawn(made, self._dominant_pairs)
        detail = f"pairs.dominant_per_prompt is {self._dominant_pairs}; others were drawn"
        for row in rows:
            if isinstance(row, Pair) and row.id in left_out:
                reason = NoPair(DropReason.NOT_DRAWN, detail)
                yield _drop(row.prompt_id, row.lang, row.other_lang, reason, row.chosen_from, row.rejected_from)
            else:
                yield row

    def _row(self, prompt: Prompt, lang: str, other_lang: str) -> Pair | Drop:
        sides = self._choose(prompt, lang, other_lang)
        if isinstance(sides, NoPair):
            return _drop(prompt.id, lang, other_lang, sides)
        chosen_from, rejected_from = sides.chosen.name(prompt.id), sides.rejected.name(prompt.id)
        found = self._candidate(prompt.id, lang, sides)
        if isinstance(found, NoPair):
            return _drop(prompt.id, lang, other_lang, found, chosen_from, rejected_from)
        return Pair(
            id=pair_id(prompt.id, lang, other_lang),
            prompt=(Message(role="user", content=found.prompt.text),),
            chosen=(Message(role="assistant", content=found.chosen.text),),
            rejected=(Message(role="assistant", content=found.rejected.text),),
            prompt_id=prompt.id,
            lang=lang,
            other_lang=other_lang,
            rule=sides.case or self._rule,
            chosen_from=chosen_from,
            rejected_from=rejected_from,
        )

    def _candidate(self, prompt_id: str, lang: str, sides: Sides) -> Candidate | NoPair:
        """The two texts, or why one of them cannot be used, or what a filter objects."""
        found: list[Side] = []
        for name, origin in (("chosen", sides.chosen), ("rejected", sides.rejected)):
            try:
                text = self._texts.text(prompt_id, origin)
            except LookupError as error:
                raise LidrError(
                    f"the rule {self._rule!r} asks for {origin.name(prompt_id)}, which was not made; a rule that takes "
                    'translations has reads=("translations",), and samples are 0 to generate.samples - 1'
                ) from error
            if isinstance(text, NoPair):
                return NoPair(text.reason, f"{name}: {text.detail}")
            found.append(Side(text, self._texts.translated(prompt_id, origin)))
        chosen, rejected = found
        candidate = Candidate(self._texts.prompts[lang][prompt_id], chosen, rejected, self._languages)
        return self._objection(candidate) or candidate


def _drop(
    prompt_id: str, lang: str, other_lang: str, why: NoPair, chosen_from: str = "", rejected_from: str = ""
) -> Drop:
    return Drop(
        prompt_id=prompt_id,
        lang=lang,
        other_lang=other_lang,
        stage=STAGE,
        reason=why.reason,
        detail=why.detail,
        chosen_from=chosen_from,
        rejected_from=rejected_from,
    )
