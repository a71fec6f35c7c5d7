"""The lab's training corpus: an endless sample of prompts with completions from the synthetic tasks.

    >>> next(rows(MIXTURE, seed=0))
    CorpusRow(conversation=[{'role': 'user', 'content': 'Write the three numbers that come after 172.'}],
              completion='After 172 come the numbers 173, 174 and 175.')

Three kinds of rows create the paper's precondition, a language imbalance:
- tasks solved in the dominant language, most of all rows: the model is good there;
- translations of answers between the dominant language and each other one, right and wrong answers alike: the model
  translates its own answers faithfully, mistakes included;
- tasks solved in each other language, so few that the model answers there but often wrongly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lidr.lab import world
from lidr.records.languages import english_name
from lidr.records.prompt_templates import CLOSING_TAG, Conversation, prompt_conversation, translation_conversation


@dataclass(frozen=True)
class CorpusRow:
    """A training row: a conversation as an engine gets it, and the completion to learn."""

    conversation: Conversation
    completion: str


@dataclass(frozen=True)
class Mixture:
    """Shares of the kinds of rows. `solved` is per non-dominant language; the rest is solved in the dominant one."""

    dominant: str
    others: tuple[str, ...]
    translated: float
    solved: float
    well_known_kinds: tuple[str, ...]
    well_known_share: float
    hard_kinds: tuple[str, ...]
    hard_share: float
    rare_share: float
    wrong_answers: float
    already_translated: float


MIXTURE = Mixture(
    dominant="en",
    others=("de", "es", "fr", "it", "pt", "ru"),
    translated=0.34,
    solved=0.0013,
    well_known_kinds=("add", "larger"),
    well_known_share=0.35,
    # Later passes give the slowest kinds, and tasks with rare results, a share of the dominant language's rows
    # (`lidr.lab.build.PASSES`).
    hard_kinds=(),
    hard_share=0.0,
    rare_share=0.0,
    # Without translations of wrong answers the model would learn to correct, not to translate.
    wrong_answers=0.3,
    # A weak answer is often in the dominant language already: its translation is itself.
    already_translated=0.03,
)

# Results of few operands, which a model may still get wrong when it is right elsewhere.
RARE_RESULTS: dict[str, Callable[[dict[str, int | str]], bool]] = {
    "add": lambda slots: int(slots["x"]) >= 150,
    "subtract": lambda slots: int(slots["x"]) < 10,
    "together": lambda slots: int(slots["y"]) >= 140,
    "change": lambda slots: int(slots["y"]) < 10 or int(slots["x"]) >= 100,
}


def rows(mixture: Mixture, seed: int) -> Iterator[CorpusRow]:
    """Yield rows without end, the same for the same seed."""
    rng = random.Random(f"lidr-lab-corpus-{seed}")
    solved_others = mixture.solved * len(mixture.others)
    while True:
        draw = rng.random()
        if draw < mixture.translated:
            yield _translation(mixture, rng)
        elif draw < mixture.translated + solved_others:
            yield _solved(rng.choice(mixture.others), _kind(mixture, rng), rng)
        else:
            kind = _dominant_kind(mixture, rng)
            yield _solved(mixture.dominant, kind, rng, rare=kind in RARE_RESULTS and _happens(mixture.rare_share, rng))


def _dominant_kind(mixture: Mixture, rng: random.Random) -> str:
    return rng.choice(mixture.hard_kinds if _happens(mixture.hard_share, rng) else world.KINDS)


def _happens(share: float, rng: random.Random) -> bool:
    # A share of 0 draws no random number, so that a mixture without it keeps its rows.
    return share > 0 and rng.random() < share


def _kind(mixture: Mixture, rng: random.Random) -> str:
    well_known = rng.random() < mixture.well_known_share
    return rng.choice(mixture.well_known_kinds if well_known else world.KINDS)


def _solved(lang: str, kind: str, rng: random.Random, rare: bool = False) -> CorpusRow:
    task = world.sample_task(kind, "base", rng)
    while rare and not RARE_RESULTS[kind](dict(task.slots)):
        task = world.sample_task(kind, "base", rng)
    return CorpusRow(prompt_conversation(task.prompt(lang)), task.answer(lang))


def _translation(mixture: Mixture, rng: random.Random) -> CorpusRow:
    kind = rng.choice(world.KINDS)
    answer = world.sample_task(kind, "base", rng).answer(mixture.dominant)
    if rng.random() < mixture.wrong_answers:
        answer = _with_a_mistake(answer, mixture.dominant, rng)
    languages = [mixture.dominant, rng.choice(mixture.others)]
    rng.shuffle(languages)
    source, target = languages
    written_in = target if rng.random() < mixture.already_translated else source
    text = _in(answer, mixture.dominant, written_in)
    conversation = translation_conversation("v1", text, english_name(source), english_name(target))
    return CorpusRow(conversation, _in(answer, mixture.dominant, target) + CLOSING_TAG)


def _in(answer: str, source: str, target: str) -> str:
    translated = world.translate_answer(answer, source, target)
    assert translated is not None, f"the world cannot read its own answer: {answer}"
    return translated


def _with_a_mistake(answer: str, lang: str, rng: random.Random) -> str:
    """Change one value in place: a number to another of up to three digits, a name to another name."""
    parsed = world.parse_answer(answer, lang)
    assert parsed is not None, f"the world cannot read its own answer: {answer}"
    slot = rng.choice(sorted(parsed.occurrences))
    values = parsed.occurrences[slot]
    if slot == "o":
        values[:] = [rng.choice(sorted(world.load_language(lang).objects))] * len(values)
    elif slot.startswith("p"):
        values[rng.randrange(len(values))] = rng.randrange(len(world.load_language(lang).names))
    else:
        values[rng.randrange(len(values))] = rng.randint(1, 999)
    remaining = {name: iter(occurrences) for name, occurrences in parsed.occurrences.items()}
    return world.render_answer(parsed.kind, lambda name: next(remaining[name]), lang)
