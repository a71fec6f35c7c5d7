"""The reward rules: which rows the two sides of a pair are made of. One function a rule; `pairs.rule` names it.

    >>> choose = RULES["imbalance"].prepare(texts, "en")
    >>> choose(prompt, "es", "en").chosen.name("lab-0")
    'translation:lab-0:en-es'

A rule is a function of the iteration's texts and the dominant language, registered with what it needs to be told:

    @rule(directions=..., reads=("translations",))
    def name(texts: Texts, dominant: str) -> Choose: ...

It returns a function of (prompt, language, language compared with) that says which rows are chosen and rejected, or why
there are none. What these rows hold is not its affair: the stage rejects those without a text, then come the filters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from lidr.pairs.length_control import best_and_worst
from lidr.pairs.texts import Origin, Rejection, Texts, whole
from lidr.records import DropReason, Prompt, PromptKind

if TYPE_CHECKING:
    from lidr import config

# (language, language that it is compared with)
Direction = tuple[str, str]


class Sides(NamedTuple):
    """What a pair says of its rule, and the rows whose texts are its chosen and rejected answer."""

    rule: str
    chosen: Origin
    rejected: Origin


Choose = Callable[[Prompt, str, str], Sides | Rejection]
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
            return Sides("untranslated", Origin(dominant), Origin(other_lang if lang == dominant else lang))
        if lang == dominant:
            return Sides("own_dominant", own, translated)
        return Sides("translated_dominant", translated, own)

    return lambda prompt, lang, other_lang: sides(prompt.kind, lang, other_lang)


@rule(within_each_language, reads=("scores",))
def implicit(texts: Texts, dominant: str) -> Choose:
    """Implicit Cross-Lingual Rewarding (arXiv 2503.04647): of a prompt's samples in l, the best against the worst.

    The stage `score` has made the reward, log pi_t(y|x') - log pi_ref(y|x') under the dominant language's prompt x'.
    `length_control` takes a price for each character off it, one for each language. Only whole answers take part.
    """
    whole_samples = {
        lang: {
            prompt_id: [
                (score, texts.samples[lang][prompt_id][score.sample].text)
                for score in scores
                if score.reward is not None and not _is_rejected(texts, lang, score.id, score.sample)
            ]
            for prompt_id, scores in by_prompt.items()
        }
        for lang, by_prompt in texts.scores.items()
    }
    chosen: dict[str, dict[str, tuple[int, int]]] = {}
    for lang, by_prompt in whole_samples.items():
        enough = {prompt_id: rows for prompt_id, rows in by_prompt.items() if len(rows) > 1}
        rewards = [[score.reward or 0.0 for score, _ in rows] for rows in enough.values()]
        lengths = [[len(text) for _, text in rows] for rows in enough.values()]
        chosen[lang] = {
            prompt_id: (rows[best][0].sample, rows[worst][0].sample)
            for (prompt_id, rows), (best, worst) in zip(enough.items(), best_and_worst(rewards, lengths), strict=True)
        }

    def choose(prompt: Prompt, lang: str, other_lang: str) -> Sides | Rejection:
        found = chosen[lang].get(prompt.id)
        if found is None:
            return _too_few(texts, lang, prompt.id)
        return Sides("implicit", Origin(lang, sample=found[0]), Origin(lang, sample=found[1]))

    return choose


def _is_rejected(texts: Texts, lang: str, prompt_id: str, sample: int) -> bool:
    return isinstance(texts.text(prompt_id, Origin(lang, sample=sample)), Rejection)


def _too_few(texts: Texts, lang: str, prompt_id: str) -> Rejection:
    """Why a prompt has fewer than two samples that can be compared: what is wrong with the first that cannot."""
    samples = texts.samples[lang].get(prompt_id, ())
    scored = {score.sample for score in texts.scores[lang].get(prompt_id, ()) if score.reward is not None}
    for row in samples:
        text = whole(row.text, row.finish_reason, f"sample {row.sample} in {lang}")
        if isinstance(text, Rejection):
            return Rejection(text.reason, f"fewer than two whole answers: {text.detail}")
        if row.sample not in scored:
            return Rejection(DropReason.UNSCORED, f"fewer than two answers with a score: sample {row.sample} in {lang}")
    return Rejection(DropReason.MISSING, f"{len(samples)} answers in {lang}; two or more are expected")
