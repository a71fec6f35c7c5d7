"""The blocks of params.yaml, each a class whose fields are all the keys that it has.

pairs:
  rule: imbalance
  filters: [identical, repeated]

Engines and training are in modules of their own, benchmarks in their packages (lidr.evaluation).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lidr.config.evaluation import Judge
from lidr.config.section import (
    DATE,
    HUB,
    Count,
    DataName,
    ModelName,
    NotNegative,
    Place,
    Positive,
    Section,
    WholeNumber,
)


class Data(Section, frozen=True):
    """What iterations make their pairs of: answers `by` a model, with values that override those of the blocks.

    m<t> has the prompts of iteration t. Other data of the same prompts have a suffix: `m1-sampled`.
    """

    by: ModelName
    rule: str | None = None
    generate: dict[str, Any] = msgspec.field(default_factory=dict)
    score: dict[str, Any] = msgspec.field(default_factory=dict)
    translate: dict[str, Any] = msgspec.field(default_factory=dict)

    def sources(self) -> dict[Place, str | None]:
        model = self.translate.get("model")
        return {("translate", "model"): model if isinstance(model, str) else None}


class Iteration(Section, frozen=True):
    """One iteration: the model that it starts from, its data, and values of `pairs` and `train` of its own.

    Several iterations may share data, as the arms of a study do.
    """

    previous: ModelName
    data: DataName
    pairs: dict[str, Any] = msgspec.field(default_factory=dict)
    train: dict[str, Any] = msgspec.field(default_factory=dict)


class Base(Section, frozen=True):
    """The model that the iterations start from: `lab`, a local folder, or a Hub id with its revision.

    `quantization` are BitsAndBytesConfig's keys, with which the base is loaded wherever it is (config/quantization.py).
    `template` has arguments of the model's chat template, such as `enable_thinking: false`, and `date` the day that
    stands in the prompts of templates that ask for today's. `reference` is the model that m0 is scored against where
    `pairs.rule` needs one: `lab`, or a folder in data/sources with a checkpoint of the same architecture and tokenizer,
    such as the one before preference tuning.
    """

    free_texts: ClassVar[tuple[str, ...]] = ("template",)

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    template: dict[str, Any] = msgspec.field(default_factory=dict)
    date: date = DATE
    quantization: dict[str, Any] | None = None
    reference: str | None = None

    def sources(self) -> dict[Place, str | None]:
        return {("reference",): self.reference}


class Fields(Section, frozen=True):
    """Which fields of published rows hold what; `{lang}` stands for a language's code.

    `input` is a second part of the text, as Alpaca's rows have, put after a blank line; null leaves it out. Where it is
    not set, rows with a field of that name are refused.
    """

    text: str
    id: str | None = None
    answer: str | None = None
    input: str | UnsetType | None = UNSET


class Hub(Section, frozen=True):
    """Where a Hub dataset keeps its rows; `{lang}` stands for a language's code."""

    revision: str
    split: str
    subset: str | None = None


class Prompts(Section, frozen=True):
    """Which prompts are used: the data m<t> takes the rows from (t-1) x per_iteration."""

    source: str
    per_iteration: Count
    fields: Fields | None = None
    hub: Hub | None = None
    answer_language: str | None = None
    translation_requests: str | None = None

    @property
    def is_on_hub(self) -> bool:
        """Whether the source is a dataset, not the lab or a folder."""
        return self.source.startswith(HUB)

    def sources(self) -> dict[Place, str | None]:
        return {
            ("source",): None if self.is_on_hub else self.source,
            ("translation_requests",): self.translation_requests,
        }


class Generate(Section, frozen=True):
    """How a model answers the prompts; `top_k` 0 samples from all tokens, whatever the model's own default.

    `samples` is how many answers a prompt gets. Rules that need one take the first.
    """

    max_new_tokens: Count
    temperature: NotNegative = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    repetition_penalty: Positive = 1.0
    top_k: WholeNumber = 0
    samples: Count = 1


class TranslationServer(Section, frozen=True):
    """A model behind an OpenAI-compatible endpoint; its key is LIDR_TRANSLATOR_KEY, or OPENAI_API_KEY for OpenAI's.

    `takes: vllm` is for servers that continue a begun turn and take a repetition penalty.
    """

    # The environment variable of its key.
    key_variable: ClassVar[str] = "LIDR_TRANSLATOR_KEY"

    endpoint: str
    model: str
    takes: Literal["openai", "vllm"] = "openai"
    concurrency: Count = 32
    retries: WholeNumber = 5
    timeout_seconds: Positive = 600.0


class Translate(Section, frozen=True):
    """How answers are translated; always greedy.

    `model` is null for the model itself, as in the paper, the folder of another one in data/sources, or a server.
    """

    max_new_tokens: Count
    model: str | TranslationServer | None = None
    prompt_template: str = "v1"
    repetition_penalty: Positive = 1.0
    round_trip: WholeNumber = 25

    def sources(self) -> dict[Place, str | None]:
        return {("model",): self.model if isinstance(self.model, str) else None}


class Scoring(Section, frozen=True):
    """How samples are scored, where `pairs.rule` compares scores (generation/score.py).

    `reference` is the model that the log-ratio is against, after m1: the `first` one, which is `base.reference`, or the
    `previous` one, M_t-1 for M_t.
    """

    prompt_template: str = "v1"
    reference: Literal["first", "previous"] = "first"


class Pairs(Section, frozen=True):
    """How pairs are made (`rule`: pairs/rules.py), and which are dropped (`filters`: pairs/filters.py).

    A filter is its name, or a mapping of its name and options: `{name: length_ratio, most: 1.5}`. A prompt gives
    `dominant_per_prompt` pairs in the dominant language at most; null: all that there are.
    """

    rule: str = "imbalance"
    directions: Literal["both", "dominant", "others"] = "both"
    dominant_per_prompt: Count | None = None
    filters: tuple[str | dict[str, Any], ...] = ("identical", "repeated")

    @property
    def filter_names(self) -> list[str]:
        """The filters without their options."""
        return [one if isinstance(one, str) else one["name"] for one in self.filters]

    def reads(self, what: Literal["translations", "scores"]) -> bool:
        """Whether the rule makes its pairs of these; where it does not, their stage has nothing to do."""
        from lidr.pairs.rules import RULES

        return what in RULES[self.rule].reads


class Audit(Section, frozen=True):
    """What the data is: counts and the reward signal.

    A judge, if there is one, is asked about `judged_pairs` pairs of each direction, in both orders.
    """

    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    judge: Judge | None = None
    judged_pairs: Count = 100

    def sources(self) -> dict[Place, str | None]:
        return {} if self.judge is None else {("judge", *place): path for place, path in self.judge.sources().items()}


class Compare(Section, frozen=True):
    """How models are compared.

    `resamples` are those of the length-controlled win rate's bootstrap interval. Nothing else is resampled.
    """

    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    resamples: Count = 9999


class Tracking(Section, frozen=True):
    """Where and how MLflow logs; the server is MLFLOW_TRACKING_URI, or a store in the project."""

    experiment: str = "lidr"
    system_metrics: bool = False
