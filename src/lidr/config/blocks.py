"""The blocks of params.yaml, each a class whose fields are all the keys that it has.

train:
  beta: 0.02
  alpha: 20.0
  ...
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from lidr import paths
from lidr.errors import InputError

# The upper limits keep out what no library takes for a size or a seed.
Count = Annotated[int, Meta(ge=1, le=10**12)]
WholeNumber = Annotated[int, Meta(ge=0, le=2**32 - 1)]
# The upper limit keeps `.inf` out.
Positive = Annotated[float, Meta(gt=0, le=1e9)]
NotNegative = Annotated[float, Meta(ge=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]
MODEL_NAME = r"^m(0|[1-9][0-9]{0,3})$"
ModelName = Annotated[str, Meta(pattern=MODEL_NAME)]
# Whose outputs are published: a name, or OWNER/MODEL. It becomes part of paths.
GENERATOR = r"\w[\w.+-]*(/\w[\w.+-]*)?"
Languages = tuple[str, ...]
# Words in params.yaml that are no paths.
LAB, HUB, RULE = "lab", "hub:", "rule"
# What stands for today in chat templates that ask for the date: the day that Llama 3.2's own template falls back to.
DATE = date(2024, 7, 26)

# The keys under which something stands in params.yaml, and what is wrong with it.
Place = tuple[str, ...]
Problem = tuple[Place, str]


class Section(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of all blocks of params.yaml: a key without a default must be there, and no key that is not here may."""


class Iteration(Section, frozen=True):
    """One iteration: the model it starts from, and values of `train` that differ from the block's."""

    previous: ModelName
    train: dict[str, Any] = {}


class Base(Section, frozen=True):
    """The model that the iterations start from: `lab`, a local folder, or a Hub id with its revision.

    `quantization` are BitsAndBytesConfig's keys, with which the base is loaded wherever it is (config/quantization.py).
    `template` has arguments of the model's chat template, such as `enable_thinking: false`, and `date` the day that
    stands in the prompts of templates that ask for today's.
    """

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    template: dict[str, Any] = {}
    date: date = DATE
    quantization: dict[str, Any] | None = None


class Vllm(Section, frozen=True):
    """What the engine `vllm` needs beside the common values.

    `batch_invariant` makes its kernels give a row the same bits in any batch, where the device has such kernels.
    """

    tensor_parallel: Count = 1
    memory_share: Annotated[float, Meta(gt=0, le=1)] = 0.9
    sequences: Count = 256
    context: Count | None = None
    prefix_caching: bool = True
    eager: bool = False
    batch_invariant: bool = False


class Server(Section, frozen=True):
    """What the engine `openai` needs: a server, and by which name it knows each model of this file."""

    endpoint: str
    models: dict[ModelName, str]
    takes: Literal["openai", "vllm"] = "vllm"
    concurrency: Count = 32
    retries: WholeNumber = 5
    timeout_seconds: Positive = 600.0


class Ray(Section, frozen=True):
    """What the engine `ray` needs: the engine that each worker holds, and where the workers are."""

    engine: Literal["transformers", "vllm"]
    workers: Count
    address: str | None = None
    gpus_per_worker: WholeNumber = 1
    rows_per_task: Count = 200


class Engine(Section, frozen=True):
    """What generates text, for all stages that do.

    `device` is training's as well. What an engine has no use for is null, and the block of another engine is left out.
    """

    name: Literal["transformers", "vllm", "openai", "ray"]
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    tokens_per_batch: Count | None = None
    rows_per_shard: Count = 1000
    processes: Count | Literal["auto"] | None = None
    vllm: Vllm | None = None
    openai: Server | None = None
    ray: Ray | None = None

    @property
    def continues_turns(self) -> bool:
        """Whether it can go on with a turn of the assistant that is begun for it: not every server does."""
        return self.openai is None or self.openai.takes == "vllm"


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
    """Which prompts an iteration uses: m<t> takes the rows from (t-1) x per_iteration."""

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


class Generate(Section, frozen=True):
    """How a model answers the prompts; `top_k` 0 samples from all tokens, whatever the model's own default."""

    max_new_tokens: Count
    temperature: NotNegative = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    repetition_penalty: Positive = 1.0
    top_k: WholeNumber = 0


class Translate(Section, frozen=True):
    """How a model translates its own answers; always greedy."""

    max_new_tokens: Count
    wording: str = "v1"
    repetition_penalty: Positive = 1.0
    round_trip: WholeNumber = 25


class Pairs(Section, frozen=True):
    """Which pairs are dropped beyond those that cannot be made."""

    drop_repeated: bool = True
    drop_off_target: bool = False


class Train(Section, frozen=True):
    """DPO with a likelihood term on LoRA weights; alpha and beta as in the paper's equation 4.

    `accelerate` is a file of accelerate's own settings, or null for one process. `eval_share` of the prompts are held
    out (training/held_out.py) and evaluated every `eval_steps` and at the end. A checkpoint is made every `save_steps`.
    Below 1, steps are a share of all steps, as for transformers; 0 checkpoints: none.
    """

    beta: Positive
    alpha: NotNegative
    learning_rate: Positive
    max_tokens: Count
    likelihood_mean: Literal["sequence", "token"] = "sequence"
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_share: Share = 0.1
    epochs: Positive = 1.0
    pairs_per_step: Count = 8
    pairs_per_device: Count = 1
    max_gradient_norm: Positive = 1.0
    weight_decay: NotNegative = 0.0
    lora_rank: Count = 16
    lora_alpha: Count = 32
    lora_dropout: Share = 0.0
    lora_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    dtype: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    log_every_steps: Count = 10
    accelerate: str | None = None
    eval_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    eval_steps: Count | Annotated[float, Meta(gt=0, lt=1)] = 0.25
    save_steps: WholeNumber = 50


class Mgsm(Section, frozen=True):
    """Accuracy on grade-school problems."""

    source: str
    languages: Languages
    max_new_tokens: Count
    items: Count = 250
    style: Literal["paper", "paper_instructed", "native_cot", "en_cot"] = "paper"
    examples: WholeNumber = 0
    repetition_penalty: Positive = 1.0


class Baseline(Section, frozen=True):
    """Whose answers a model is compared with in `alpaca`, and where they come from.

    A model of this pipeline answers itself, from `models/<model>`; any other name is that of a generator whose
    published outputs lie in the folder `source`. It is never null, so that dvc.yaml can depend on it.
    """

    model: str = paths.BASE
    source: str = f"{paths.MODELS}/{paths.BASE}"

    @property
    def is_published(self) -> bool:
        """Whether the answers are read, not generated."""
        return not re.search(MODEL_NAME, self.model)


class AnyJudge(Section, frozen=True, kw_only=True, tag_field="name"):
    """What all judges have: whether each comparison is judged in both orders of the two answers."""

    both_orders: bool | None = None

    @property
    def name(self) -> str:
        """`lab`, `openai` or `local`, as params.yaml has it."""
        return str(self.__struct_config__.tag)

    @property
    def in_both_orders(self) -> bool:
        """`both_orders`, or what is usual for this judge."""
        return bool(self.both_orders)


class LabJudge(AnyJudge, frozen=True, kw_only=True, tag="lab"):
    """The lab's own checker, for its own instructions only."""


class LocalJudge(AnyJudge, frozen=True, kw_only=True, tag="local"):
    """A model in a folder, by the log-probabilities of the two labels."""

    model: str


class OpenAIJudge(AnyJudge, frozen=True, kw_only=True, tag="openai"):
    """A model behind any OpenAI-compatible endpoint.

    `reply: logprobs` asks for one token and weighs the two labels by their log-probabilities, as AlpacaEval 2 does.
    `text` reads the label at the end of a reply of at most `max_completion_tokens`, for models that reason or give no
    log-probabilities; both orders are then the default. Prices are per million tokens.
    """

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


class Alpaca(Section, frozen=True):
    """Win rate on instructions, as a judge sees it."""

    source: str
    languages: Languages
    judge: Judge
    max_new_tokens: Count
    items: Count = 250
    repetition_penalty: Positive = 1.0


class Harness(Section, frozen=True):
    """Other abilities, by tasks of lm-evaluation-harness; the keys are those of `lm_eval.simple_evaluate`.

    `tasks` are its tasks, groups or tags, or those of the YAML files in the folder `include_path`: one within
    data/sources, or `lab`. Without tasks the stage has nothing to do.
    """

    tasks: tuple[str, ...] = ()
    num_fewshot: WholeNumber | None = None
    limit: Count | None = None
    batch_size: Count | Literal["auto"] = 16
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None
    include_path: str | None = None


class Audit(Section, frozen=True):
    """What the data is: counts and the reward signal."""

    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95


class Compare(Section, frozen=True):
    """How models are compared."""

    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    resamples: Count = 9999


class Tracking(Section, frozen=True):
    """Where and how MLflow logs; the server is MLFLOW_TRACKING_URI, or a store in the project."""

    experiment: str = "lidr"
    system_metrics: bool = False


class Settings(Section, frozen=True):
    """The whole of params.yaml."""

    profile: str
    seed: WholeNumber
    dominant: str
    languages: Languages
    models: tuple[ModelName, ...]
    iterations: dict[ModelName, Iteration]
    base: Base
    engine: Engine
    prompts: Prompts
    generate: Generate
    translate: Translate
    train: Train
    mgsm: Mgsm
    alpaca: Alpaca
    pairs: Pairs = Pairs()
    baseline: Baseline = Baseline()
    harness: Harness = Harness()
    audit: Audit = Audit()
    compare: Compare = Compare()
    tracking: Tracking = Tracking()

    @property
    def all_languages(self) -> Languages:
        """The dominant language, then the others that are trained on."""
        return (self.dominant, *self.languages)

    def iteration(self, name: str) -> Iteration:
        """The iteration's block; raises InputError where there is none."""
        if name not in self.iterations:
            known = ", ".join(self.iterations)
            raise InputError(f"no iteration {name!r} in params.yaml: it has {known}")
        return self.iterations[name]

    def model(self, name: str) -> str:
        """The name itself; raises InputError where params.yaml has no such model."""
        if name not in self.models:
            raise InputError(f"no model {name!r} in params.yaml: it has {', '.join(self.models)}")
        return name

    def train_for(self, name: str) -> Train:
        """The `train` block with the iteration's own values over it."""
        values = msgspec.to_builtins(self.train) | self.iteration(name).train
        return msgspec.convert(values, Train)

    def lineage(self, name: str) -> tuple[str, ...]:
        """The models from m0 to `name`, each made from the one before."""
        names = [name]
        while names[0] != paths.BASE:
            names.insert(0, self.iteration(names[0]).previous)
        return tuple(names)


def iteration_number(name: str) -> int:
    """t of m<t>: 0 for the base."""
    return int(name.removeprefix("m"))


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
