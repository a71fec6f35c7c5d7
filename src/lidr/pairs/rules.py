"""The reward rules: which rows the two sides of a pair are made of. One function per rule; `pairs.rule` names it.

A rule is a function of the iteration's texts and the dominant language, registered with its directions and inputs:

    @rule(directions=..., reads=("translations",))
    def name(texts: Texts, dominant: str) -> Choose: ...

It returns a function of (prompt, language, language compared with) that says which rows are chosen and rejected, or why
there are none. It may name rows without a text: the stage drops these pairs, and then runs the filters. A row that was
never made is an error: translations need `reads`, and samples are numbered from 0 to `generate.samples` - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from lidr.pairs.texts import NoPair, Origin, Texts, usable_text
from lidr.records import DropReason, Prompt, PromptKind, Score

if TYPE_CHECKING:
    from numpy import ndarray

    from lidr import config

# The grid of prices of length control.
PRICE_STEPS = 1000

# (language, language that it is compared with)
Direction = tuple[str, str]


class Sides(NamedTuple):
    """The rows whose texts are chosen and rejected. `case` is what the pair says in place of the rule's name."""

    chosen: Origin
    rejected: Origin
    case: str | None = None


class RewardedAnswer(NamedTuple):
    """A sample's reward, and its length in characters."""

    origin: Origin
    reward: float
    length: int


Choose = Callable[[Prompt, str, str], Sides | NoPair]
Directions = Callable[[str, Sequence[str]], list[Direction]]


class Rule(NamedTuple):
    """A rule, the directions of its pairs, and which stages beside `generate` make what it reads."""

    prepare: Callable[[Texts, str], Choose]
    directions: Directions
    reads: tuple[str, ...]


RULES: dict[str, Rule] = {}


def rule(
    directions: Directions, reads: tuple[str, ...] = ()
) -> Callable[[Callable[[Texts, str], Choose]], Callable[[Texts, str], Choose]]:
    """Register a rule by its function's name."""

    def register(prepare: Callable[[Texts, str], Choose]) -> Callable[[Texts, str], Choose]:
        RULES[prepare.__name__] = Rule(prepare, directions, reads)
        return prepare

    return register


def directions(options: config.Pairs, dominant: str, languages: Sequence[str]) -> list[Direction]:
    """The directions that the rule makes pairs in, of those that `pairs.directions` asks for."""
    wanted = {"both": (True, False), "dominant": (True,), "others": (False,)}[options.directions]
    return [way for way in RULES[options.rule].directions(dominant, languages) if (way[0] == dominant) in wanted]


def between_dominant_and_others(dominant: str, languages: Sequence[str]) -> list[Direction]:
    """Each language with the dominant one, and back."""
    return [direction for lang in languages for direction in ((lang, dominant), (dominant, lang))]


def within_each_language(dominant: str, languages: Sequence[str]) -> list[Direction]:
    """Each language with itself."""
    return [(lang, lang) for lang in (dominant, *languages)]


@rule(between_dominant_and_others, reads=("translations",))
def imbalance(texts: Texts, dominant: str) -> Choose:
    """Language Imbalance Driven Rewarding (arXiv 2410.08964, section 2.2). For each language l beside the dominant d:

    - in l: chosen is the model's translation of its answer in d, rejected its own answer in l;
    - in d: chosen is its own answer in d, rejected its translation of its answer in l. One pair for every l.
    A prompt that asks for a translation itself is not translated: its answer in d is chosen over its answer in l, in
    both.
    """

    @cache
    def sides(kind: PromptKind, lang: str, other_lang: str) -> Sides:
        own, translated = Origin(lang), Origin(lang, source=other_lang)
        if kind is PromptKind.TRANSLATION:
            return Sides(Origin(dominant), Origin(other_lang if lang == dominant else lang), "untranslated")
        if lang == dominant:
            return Sides(own, translated, "own_dominant")
        return Sides(translated, own, "translated_dominant")

    return lambda prompt, lang, other_lang: sides(prompt.kind, lang, other_lang)


@rule(within_each_language, reads=("scores",))
def implicit(texts: Texts, dominant: str) -> Choose:
    """Implicit Cross-Lingual Rewarding (arXiv 2503.04647): of a prompt's samples in l, the best against the worst.

    The stage `score` has made the reward, log pi_t(y|x') - log pi_ref(y|x') under the dominant language's prompt x'.
    `best_and_worst` takes a price for each character off it, one for each language. Only whole answers take part.
    """
    chosen: dict[tuple[str, str], Sides] = {}
    for lang, by_prompt in texts.scores.items():
        answers = {prompt_id: _whole(texts, lang, prompt_id, scores) for prompt_id, scores in by_prompt.items()}
        several = {prompt_id: rows for prompt_id, rows in answers.items() if len(rows) > 1}
        for prompt_id, (best, worst) in zip(several, best_and_worst(list(several.values())), strict=True):
            chosen[lang, prompt_id] = Sides(best.origin, worst.origin)

    def choose(prompt: Prompt, lang: str, other_lang: str) -> Sides | NoPair:
        return chosen.get((lang, prompt.id)) or _too_few(texts, lang, prompt.id)

    return choose


def _whole(texts: Texts, lang: str, prompt_id: str, scores: Sequence[Score]) -> list[RewardedAnswer]:
    """The whole answers among a prompt's samples, with their rewards."""
    answers = []
    for score in scores:
        origin = Origin(lang, sample=score.sample)
        text = texts.text(prompt_id, origin)
        if score.reward is not None and isinstance(text, str):
            answers.append(RewardedAnswer(origin, score.reward, len(text)))
    return answers


def _too_few(texts: Texts, lang: str, prompt_id: str) -> NoPair:
    """Why a prompt has fewer than two samples that can be compared: what is wrong with the first that cannot."""
    samples = texts.samples[lang].get(prompt_id, ())
    scored = {score.sample for score in texts.scores[lang].get(prompt_id, ()) if score.reward is not None}
    for row in samples:
        text = usable_text(row.text, row.finish_reason, f"sample {row.sample} in {lang}")
        if isinstance(text, NoPair):
            return NoPair(text.reason, f"fewer than two whole answers: {text.detail}")
        if row.sample not in scored:
            return NoPair(DropReason.UNSCORED, f"fewer than two answers with a score: sample {row.sample} in {lang}")
    return NoPair(DropReason.MISSING, f"{len(samples)} answers in {lang}; two or more are expected")


def best_and_worst(prompts: Sequence[Sequence[RewardedAnswer]]) -> list[tuple[RewardedAnswer, RewardedAnswer]]:
    """Length control: of each prompt's answers the best and the worst, the first of equals.

    From the reward of an answer, a price times its characters is taken off, so that the best answers are not just the
    longest. Of the grid 0, 0.001, ... 1, it is the smallest price at which the best and the worst answers differ least
    in length on average (in absolute value), over all prompts of a language (arXiv 2503.04647, and the authors' code).
    """
    if not prompts:
        return []
    import numpy

    reward = _table([[answer.reward for answer in answers] for answers in prompts])
    length = _table([[answer.length for answer in answers] for answers in prompts])
    rows = numpy.arange(len(prompts))

    def ends(price: float) -> tuple[ndarray, ndarray]:
        controlled = reward - price * length
        return numpy.nanargmax(controlled, axis=1), numpy.nanargmin(controlled, axis=1)

    def difference(price: float) -> float:
        best, worst = ends(price)
        return abs(float((length[rows, best] - length[rows, worst]).mean()))

    best, worst = ends(min((step / PRICE_STEPS for step in range(PRICE_STEPS + 1)), key=difference))
    return [(answers[one], answers[other]) for answers, one, other in zip(prompts, best, worst, strict=True)]


def _table(rows: Sequence[Sequence[float]]) -> ndarray:
    """One row for each prompt, padded with NaN."""
    import numpy

    table = numpy.full((len(rows), max(map(len, rows))), numpy.nan)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
