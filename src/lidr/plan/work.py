"""Rows and tokens of every stage, counted from params.yaml alone.

>>> of(settings, Lengths(answer=300, prompt=150))[1]
Work(stage='generate@m1', kind='generate', rows=5000, tokens=1500000, most=12000000, read=750000, longest=2400)
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
# What a request to translate has beside the text.
TRANSLATION_PROMPT_TOKENS = 60


@dataclass(frozen=True)
class Lengths:
    """Mean tokens that are assumed of an answer and of a prompt."""

    answer: int
    prompt: int


@dataclass(frozen=True)
class Work:
    """One stage: rows that it makes, new tokens (trained-on tokens for `train`) as assumed, and at most.

    `read` are the tokens of prompts that generation reads, `longest` the tokens that one answer may have.
    """

    stage: str
    kind: Kind
    rows: int
    tokens: int = 0
    most: int = 0
    read: int = 0
    longest: int = 0


def of(settings: config.Settings, lengths: Lengths) -> list[Work]:
    """All stages with work worth planning, in the pipeline's order."""
    stages = [work for name in settings.iterations for work in _iteration(settings, name, lengths)]
    for model in settings.models:
        mgsm = settings.mgsm
        rows = mgsm.items * len(mgsm.languages)
        stages.append(_generation(f"mgsm@{model}", rows, lengths, mgsm.max_new_tokens))
    return [*stages, *_alpaca(settings, lengths)]


def requests(settings: config.Settings) -> int:
    """Questions to the judge: every model's answers but those of the baseline, which are the same text as its own."""
    alpaca = settings.alpaca
    judged = [model for model in settings.models if model != settings.baseline.model]
    return len(judged) * len(alpaca.languages) * alpaca.items * (2 if alpaca.judge.in_both_orders else 1)


def judge_tokens(settings: config.Settings, answer_tokens: int) -> int:
    """Tokens that the judge reads in all, both answers in each question."""
    answer = min(answer_tokens, settings.alpaca.max_new_tokens)
    return requests(settings) * (JUDGE_PROMPT_TOKENS + 2 * answer)


def _iteration(settings: config.Settings, name: str, lengths: Lengths) -> list[Work]:
    count, train = settings.prompts.per_iteration, settings.train_for(name)
    asked = count * len(settings.all_languages)
    directions = 2 * len(settings.languages)
    answer = min(lengths.answer, settings.generate.max_new_tokens)
    translated = min(round(TRANSLATION_GROWTH * answer), settings.translate.max_new_tokens)
    pairs = count * directions
    most = 2 * train.dpo["max_length"]
    passes = pairs * train.dpo["num_train_epochs"]
    return [
        Work(f"prompts@{name}", "files", asked),
        _generation(f"generate@{name}", asked, lengths, settings.generate.max_new_tokens),
        _generation(
            f"translate@{name}",
            count * directions,
            Lengths(translated, TRANSLATION_PROMPT_TOKENS + answer),
            settings.translate.max_new_tokens,
        ),
        Work(f"pairs@{name}", "files", pairs),
        Work(
            f"train@{name}",
            "train",
            pairs,
            # One side of a pair is an answer, the other a translation; each is computed with its prompt.
            tokens=round(passes * min(2 * lengths.prompt + answer + translated, most)),
            most=round(passes * most),
        ),
    ]


def _alpaca(settings: config.Settings, lengths: Lengths) -> list[Work]:
    alpaca = settings.alpaca
    rows = alpaca.items * len(alpaca.languages)
    answers = [model for model in settings.models if model != settings.baseline.model]
    own = [] if settings.baseline.is_published else [f"baseline ({settings.baseline.model})"]
    stages = [*own, *(f"alpaca@{model}" for model in answers)]
    work = [_generation(stage, rows, lengths, alpaca.max_new_tokens) for stage in stages]
    return [*work, Work("judge", "judge", requests(settings), judge_tokens(settings, lengths.answer))]


def _generation(stage: str, rows: int, lengths: Lengths, most: int) -> Work:
    return Work(
        stage,
        "generate",
        rows,
        tokens=rows * min(lengths.answer, most),
        most=rows * most,
        read=rows * lengths.prompt,
        longest=most,
    )
