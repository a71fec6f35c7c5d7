"""Rows and tokens of every stage, counted from params.yaml alone.

>>> of(settings, answer_tokens=300)[1]
Work(stage='generate@m1', kind='generate', rows=5000, tokens=1500000, most=12000000)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lidr import config

Kind = Literal["files", "generate", "train", "judge"]

# A translation out of English takes more tokens than the English; a rough guess for European languages.
TRANSLATION_GROWTH = 1.5
# What a judge reads beside instruction and answers: its own instructions.
JUDGE_PROMPT_TOKENS = 400


@dataclass(frozen=True)
class Work:
    """One stage: rows that it makes, new tokens (trained-on tokens for `train`) as assumed, and at most."""

    stage: str
    kind: Kind
    rows: int
    tokens: int = 0
    most: int = 0


def of(settings: config.Settings, answer_tokens: int) -> list[Work]:
    """All stages with work worth planning, in the pipeline's order."""
    stages = [work for name in settings.iterations for work in _iteration(settings, name, answer_tokens)]
    for model in settings.models:
        mgsm = settings.mgsm
        rows = mgsm.items * len(mgsm.languages)
        stages.append(_generation(f"mgsm@{model}", rows, answer_tokens, mgsm.max_new_tokens))
    return [*stages, *_alpaca(settings, answer_tokens)]


def requests(settings: config.Settings) -> int:
    """Questions to the judge: every model's answers but those of the baseline, which are the same text as its own."""
    alpaca = settings.alpaca
    judged = [model for model in settings.models if model != settings.baseline.model]
    return len(judged) * len(alpaca.languages) * alpaca.items * (2 if alpaca.judge.both_orders else 1)


def judge_tokens(settings: config.Settings, answer_tokens: int) -> int:
    """Tokens that the judge reads in all, both answers in each question."""
    answer = min(answer_tokens, settings.alpaca.max_new_tokens)
    return requests(settings) * (JUDGE_PROMPT_TOKENS + 2 * answer)


def _iteration(settings: config.Settings, name: str, answer_tokens: int) -> list[Work]:
    count, train = settings.prompts.per_iteration, settings.train_for(name)
    asked = count * len(settings.all_languages)
    directions = 2 * len(settings.languages)
    answer = min(answer_tokens, settings.generate.max_new_tokens)
    translated = min(round(TRANSLATION_GROWTH * answer), settings.translate.max_new_tokens)
    pairs = count * directions
    passes = pairs * train.epochs
    return [
        Work(f"prompts@{name}", "files", asked),
        _generation(f"generate@{name}", asked, answer_tokens, settings.generate.max_new_tokens),
        _generation(f"translate@{name}", count * directions, translated, settings.translate.max_new_tokens),
        Work(f"pairs@{name}", "files", pairs),
        Work(
            f"train@{name}",
            "train",
            pairs,
            # One side of a pair is an answer, the other a translation.
            tokens=round(passes * min(answer + translated, 2 * train.max_tokens)),
            most=round(passes * 2 * train.max_tokens),
        ),
    ]


def _alpaca(settings: config.Settings, answer_tokens: int) -> list[Work]:
    alpaca = settings.alpaca
    rows = alpaca.items * len(alpaca.languages)
    answers = [model for model in settings.models if model != settings.baseline.model]
    own = [] if settings.baseline.is_published else [f"baseline ({settings.baseline.model})"]
    stages = [*own, *(f"alpaca@{model}" for model in answers)]
    work = [_generation(stage, rows, answer_tokens, alpaca.max_new_tokens) for stage in stages]
    return [*work, Work("judge", "judge", requests(settings), judge_tokens(settings, answer_tokens))]


def _generation(stage: str, rows: int, mean_tokens: int, most: int) -> Work:
    return Work(stage, "generate", rows, tokens=rows * min(mean_tokens, most), most=rows * most)
