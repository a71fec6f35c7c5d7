"""The blocks of params.yaml, each a class whose fields are all the keys that it has.

pairs:
  rule: imbalance
  filters: [identical, repeated]

Engines and training are in modules of their own, benchmarks in their packages (lidr.evaluation).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lidr import paths
from lidr.config.engines import Engine
from lidr.config.evaluation import Baseline, Generative, Judge
from lidr.config.section import (
    DATE,
    HUB,
    LAB,
    RULE,
    Count,
    DataName,
    Languages,
    ModelName,
    NotNegative,
    Place,
    Positive,
    Section,
    WholeNumber,
)
from lidr.config.training import Train
from lidr.errors import InputError


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
    wording: str = "v1"
    repetition_penalty: Positive = 1.0
    round_trip: WholeNumber = 25

    def sources(self) -> dict[Place, str | None]:
        return {("model",): self.model if isinstance(self.model, str) else None}


class Scoring(Section, frozen=True):
    """How samples are scored, where `pairs.rule` compares scores (generation/score.py).

    `reference` is the model that the log-ratio is against, after m1: the `first` one, which is `base.reference`, or the
    `previous` one, M_t-1 for M_t.
    """

    wording: str = "v1"
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


Block = TypeVar("Block", bound=Section)


class Settings(Section, frozen=True):
    """The whole of params.yaml, but for the blocks of benchmarks, which `lidr.config.reading` adds."""

    profile: str
    seed: WholeNumber
    dominant: str
    languages: Languages
    models: tuple[ModelName, ...]
    data: dict[DataName, Data]
    iterations: dict[ModelName, Iteration]
    base: Base
    engine: Engine
    prompts: Prompts
    generate: Generate
    translate: Translate
    train: Train
    score: Scoring = Scoring()
    pairs: Pairs = Pairs()
    baseline: Baseline = Baseline()
    audit: Audit = Audit()
    compare: Compare = Compare()
    tracking: Tracking = Tracking()

    @property
    def all_languages(self) -> Languages:
        """The dominant language, then the others that are trained on."""
        return (self.dominant, *self.languages)

    @property
    def translation_is_begun(self) -> bool:
        """Whether the translator continues a turn that begins with the opening tag."""
        model = self.translate.model
        return model.takes == "vllm" if isinstance(model, TranslationServer) else self.engine.continues_turns

    @property
    def benchmarks(self) -> dict[str, Section]:
        """The blocks of benchmarks by their names."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in Settings.__struct_fields__}

    @property
    def generative(self) -> dict[str, Generative]:
        """Those whose items models answer through the engine."""
        return {name: block for name, block in self.benchmarks.items() if isinstance(block, Generative)}

    def sources(self) -> dict[Place, str]:
        """Files and folders of the user's that the pipeline reads, by their places; without `lab`, `rule` and the Hub.

        All but a judge's, which may be models/m0, lie in data/sources.
        """
        blocks: dict[Place, Any] = {(name,): getattr(self, name) for name in self.__struct_fields__}
        blocks |= {("data", name): own for name, own in self.data.items()}
        sections = {where: block for where, block in blocks.items() if isinstance(block, Section)}
        read = {(*where, *place): path for where, block in sections.items() for place, path in block.sources().items()}
        return {place: path for place, path in read.items() if path is not None and path not in (LAB, RULE)}

    def block(self, kind: type[Block]) -> Block:
        """The block of a benchmark by its class."""
        return next(block for block in self.benchmarks.values() if isinstance(block, kind))

    def iteration(self, name: str) -> Iteration:
        """The iteration's block; raises InputError where there is none."""
        return self.iterations[_known("iteration", name, self.iterations)]

    def named_data(self, name: str) -> Data:
        """The block of these data; raises InputError where there is none."""
        return self.data[_known("data", name, self.data)]

    def model(self, name: str) -> str:
        """The name itself; raises InputError where params.yaml has no such model."""
        return _known("model", name, self.models)

    def of_data(self, name: str) -> Settings:
        """The settings by which these data are made: their own values over the blocks', key by key."""
        own = self.named_data(name)
        pairs = self.pairs if own.rule is None else msgspec.structs.replace(self.pairs, rule=own.rule)
        return msgspec.structs.replace(
            self,
            generate=with_values(self.generate, own.generate),
            score=with_values(self.score, own.score),
            translate=with_values(self.translate, own.translate),
            pairs=pairs,
        )

    def of_iteration(self, name: str) -> Settings:
        """The settings of the iteration: those of its data, and its own `pairs` and `train` over the blocks'."""
        own = self.iteration(name)
        made = self.of_data(own.data)
        return msgspec.structs.replace(
            made, pairs=with_values(made.pairs, own.pairs), train=with_values(made.train, own.train)
        )

    def lineage(self, name: str) -> tuple[str, ...]:
        """The models from m0 to `name`, each made from the one before."""
        names = [name]
        while names[0] != paths.BASE:
            names.insert(0, self.iteration(names[0]).previous)
        return tuple(names)


def _known(kind: str, name: str, names: Collection[str]) -> str:
    """The name itself, if it is one of these; else InputError."""
    if name not in names:
        raise InputError(f"no {kind} {name!r} in params.yaml: it has {', '.join(names)}")
    return name


def iteration_number(name: str) -> int:
    """t of the model m<t>, 0 for the base; of the data m<t> and m<t>-word as well."""
    return int(name.removeprefix("m").partition("-")[0])


def with_values(block: Block, values: dict[str, Any]) -> Block:
    """The block with these values; raises msgspec's ValidationError where they are not valid."""
    return msgspec.convert(_over(msgspec.to_builtins(block), values), type(block)) if values else block


def _over(block: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The block with values in place of its own; a block within it keeps what the values do not name."""
    merged = dict(block)
    for key, value in values.items():
        inner = block.get(key)
        merged[key] = _over(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def flatten(settings: Settings) -> dict[str, Any]:
    """The settings with the names of params.yaml joined by dots, as MLflow shows them."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", msgspec.to_builtins(settings))
    return flat
