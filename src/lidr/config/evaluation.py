"""What blocks of benchmarks in params.yaml share; their own keys are in their packages in lidr.evaluation.

baseline: {model: m0, source: models/m0}
judge: {name: openai, model: gpt-4-1106-preview, endpoint: "https://api.openai.com/v1"}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from lidr import paths
from lidr.config.section import (
    LAB,
    MODEL_NAME,
    Count,
    Languages,
    NotNegative,
    Place,
    Positive,
    Problem,
    Section,
    Tagged,
    WholeNumber,
    address_problems,
)

if TYPE_CHECKING:
    from lidr.config.settings import Settings


class Generative(Section, frozen=True, kw_only=True):
    """The block of a benchmark whose items, the same ones in several languages, models answer through the engine."""

    source: str
    languages: Languages
    max_new_tokens: Count
    items: Count = 250
    repetition_penalty: Positive = 1.0

    def sources(self) -> dict[Place, str | None]:
        return {("source",): self.source}


class Baseline(Section, frozen=True):
    """The answers that models are compared with in `alpaca`, and their source.

    A model of this pipeline answers itself, from `models/<model>`; any other name is that of a generator whose
    published outputs lie in the folder `source`. It is never null, so that dvc.yaml can depend on it.
    """

    model: str = paths.BASE
    source: str = f"{paths.MODELS}/{paths.BASE}"

    @property
    def is_published(self) -> bool:
        """Whether the answers are read, not generated."""
        return not re.search(MODEL_NAME, self.model)

    def sources(self) -> dict[Place, str | None]:
        return {("source",): self.source if self.is_published else None}


class AnyJudge(Tagged, frozen=True, kw_only=True):
    """What all judges have: whether each comparison is judged in both orders of the two answers."""

    both_orders: bool | None = None

    @property
    def in_both_orders(self) -> bool:
        """`both_orders`, or this judge's default."""
        return bool(self.both_orders)


class LabJudge(AnyJudge, frozen=True, kw_only=True, tag="lab"):
    """The lab's own checker, for its own instructions only."""


class LocalJudge(AnyJudge, frozen=True, kw_only=True, tag="local"):
    """A model in a folder of data/sources, or models/m0, by the log-probabilities of the two labels."""

    model: str

    def sources(self) -> dict[Place, str | None]:
        return {("model",): self.model}


class OpenAIJudge(AnyJudge, frozen=True, kw_only=True, tag="openai"):
    """A model behind any OpenAI-compatible endpoint.

    `reply: logprobs` asks for one token and weighs the two labels by their log-probabilities, as AlpacaEval 2 does.
    `text` reads the label at the end of a reply of at most `max_completion_tokens`, for models that reason or give no
    log-probabilities; both orders are then the default. Prices are per million tokens.
    """

    # The environment variable of its key.
    key_variable: ClassVar[str] = "LIDR_JUDGE_KEY"

    model: str
    endpoint: str
    reply: Literal["logprobs", "text"] = "logprobs"
    max_completion_tokens: Count = 2048
    reasoning_effort: str | None = None
    concurrency: Count = 8
    retries: WholeNumber = 5
    timeout_seconds: Positive = 60.0
    max_requests: Count | None = None
    max_tokens: Count | None = None
    prompt_price: NotNegative | None = None
    completion_price: NotNegative | None = None

    @property
    def in_both_orders(self) -> bool:
        return self.reply == "text" if self.both_orders is None else self.both_orders


Judge = LabJudge | LocalJudge | OpenAIJudge


def judge_problems(judge: Judge, where: Place, source: tuple[str, str], settings: Settings) -> Iterator[Problem]:
    """What is wrong with the judge at this place; `source` is the key of its prompts, and the value."""
    key, prompts = source
    if isinstance(judge, LabJudge) and prompts != LAB:
        yield (*where, "name"), f"the lab's checker judges its own instructions only ({key}: lab)"
    if isinstance(judge, LocalJudge) and settings.engine.local is None:
        yield (*where, "name"), "a judge in a folder needs an engine on this machine, not 'openai'"
    if isinstance(judge, OpenAIJudge):
        if (judge.prompt_price is None) != (judge.completion_price is None):
            yield (*where, "prompt_price"), "both prices are expected, or neither"
        if judge.reasoning_effort is not None and judge.reply != "text":
            yield (*where, "reasoning_effort"), "a judge that reasons replies in text (judge.reply)"
        yield from address_problems((*where, "endpoint"), judge.endpoint)
