"""params.yaml as typed settings: complete, checked, with the line of whatever is wrong.

    >>> settings = load(Path("params.yaml"))
    >>> settings.train_for("m2").beta
    0.1

There are no defaults: a profile is a complete file, so that what a run used is what its params.yaml says. YAML is read
as DVC reads it (YAML 1.2, by ruamel.yaml): `1e-3` is a number and `no` is Norwegian.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from lidr import paths
from lidr.errors import InputError
from lidr.languages import locale
from lidr.wording import ANSWER_LANGUAGE, TRANSLATION

Count = Annotated[int, Meta(ge=1)]
WholeNumber = Annotated[int, Meta(ge=0)]
# The upper limit keeps `.inf` out.
Positive = Annotated[float, Meta(gt=0, le=1e9)]
NotNegative = Annotated[float, Meta(ge=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]
_MODEL_NAME = r"^m(0|[1-9][0-9]{0,3})$"
ModelName = Annotated[str, Meta(pattern=_MODEL_NAME)]
Languages = tuple[str, ...]
# Words in params.yaml that are no paths.
LAB, HUB, RULE = "lab", "hub:", "rule"

# The keys under which something stands in params.yaml, and what is wrong with it.
Place = tuple[str, ...]
Problem = tuple[Place, str]


class Section(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of all blocks of params.yaml: every key must be there, and no other."""


class Iteration(Section, frozen=True):
    """One iteration: the model it starts from, and values of `train` that differ from the block's."""

    previous: ModelName
    train: dict[str, Any] = {}


class Base(Section, frozen=True):
    """The model that the iterations start from: `lab`, a local folder, or a Hub id with its revision.

    `watch`, here and below, is the folder that DVC watches: of files, or `lab` or `hub`, which never change.
    """

    model: str
    revision: str | None
    watch: str
    trust_remote_code: bool


class Vllm(Section, frozen=True):
    """What the engine `vllm` needs beside the common values."""

    tensor_parallel: Count
    memory_share: Annotated[float, Meta(gt=0, le=1)]
    sequences: Count
    context: Count | None
    prefix_caching: bool
    eager: bool


class Server(Section, frozen=True):
    """What the engine `openai` needs: a server, and by which name it knows each model of this file."""

    endpoint: str
    models: dict[ModelName, str]
    takes: Literal["openai", "vllm"]
    concurrency: Count
    retries: WholeNumber
    timeout_seconds: Positive


class Engine(Section, frozen=True):
    """What generates text, for all stages that do.

    `device` is training's as well. What an engine has no use for is null, and the block of another engine is left out.
    """

    name: Literal["transformers", "vllm", "openai"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    dtype: Literal["float32", "bfloat16", "float16"] | None
    tokens_per_batch: Count | None
    rows_per_shard: Count
    vllm: Vllm | None = None
    openai: Server | None = None


class Fields(Section, frozen=True):
    """Which fields of published rows hold what; `{lang}` in `text` stands for a language's code."""

    text: str
    id: str | None
    answer: str | None


class Hub(Section, frozen=True):
    """Where a Hub dataset keeps its rows; `{lang}` stands for a language's code."""

    revision: str
    subset: str | None
    split: str


class Prompts(Section, frozen=True):
    """Which prompts an iteration uses: m<t> takes the rows from (t-1) x per_iteration."""

    source: str
    watch: str
    per_iteration: Count
    fields: Fields | None
    hub: Hub | None
    answer_language: str | None
    translation_requests: str | None

    @property
    def is_on_hub(self) -> bool:
        """Whether the source is a dataset, not the lab or a folder."""
        return self.source.startswith(HUB)


class Generate(Section, frozen=True):
    """How a model answers the prompts."""

    max_new_tokens: Count
    temperature: NotNegative
    top_p: Annotated[float, Meta(gt=0, le=1)]
    repetition_penalty: Positive


class Translate(Section, frozen=True):
    """How a model translates its own answers; always greedy."""

    wording: str
    max_new_tokens: Count
    repetition_penalty: Positive
    round_trip: WholeNumber


class Pairs(Section, frozen=True):
    """Which pairs are dropped beyond those that cannot be made."""

    drop_repeated: bool
    drop_off_target: bool


class Train(Section, frozen=True):
    """DPO with a likelihood term on LoRA weights; alpha and beta as in the paper's equation 4."""

    beta: Positive
    alpha: NotNegative
    likelihood_mean: Literal["sequence", "token"]
    learning_rate: Positive
    schedule: Literal["constant", "linear", "cosine"]
    warmup_share: Share
    epochs: Positive
    pairs_per_step: Count
    pairs_per_device: Count
    shared_prompt: bool
    max_tokens: Count
    max_gradient_norm: Positive
    weight_decay: NotNegative
    lora_rank: Count
    lora_alpha: Count
    lora_dropout: Share
    lora_modules: tuple[str, ...]
    dtype: Literal["float32", "bfloat16"]
    gradient_checkpointing: bool
    log_every_steps: Count


class Mgsm(Section, frozen=True):
    """Accuracy on grade-school problems."""

    source: str
    languages: Languages
    items: Count
    style: Literal["paper", "paper_instructed", "native_cot", "en_cot"]
    examples: WholeNumber
    max_new_tokens: Count
    repetition_penalty: Positive


class Baseline(Section, frozen=True):
    """Whose answers a model is compared with in `alpaca`, and where they come from.

    A model of this pipeline answers itself, from `models/<model>`; any other name is that of a generator whose
    published outputs lie in the folder `source`. It is never null, so that dvc.yaml can depend on it.
    """

    model: str
    source: str

    @property
    def is_published(self) -> bool:
        """Whether the answers are read, not generated."""
        return not re.search(_MODEL_NAME, self.model)


class Judge(Section, frozen=True):
    """Who compares two answers. What a judge has no use for is null."""

    name: Literal["lab", "openai", "local"]
    both_orders: bool
    model: str | None
    endpoint: str | None
    concurrency: Count | None
    retries: WholeNumber | None
    timeout_seconds: Positive | None
    max_requests: Count | None
    max_tokens: Count | None
    prompt_price: NotNegative | None
    completion_price: NotNegative | None


class Alpaca(Section, frozen=True):
    """Win rate on instructions, as a judge sees it."""

    source: str
    languages: Languages
    items: Count
    judge: Judge
    max_new_tokens: Count
    repetition_penalty: Positive


class Audit(Section, frozen=True):
    """What the data is: counts and the reward signal."""

    confidence: Annotated[float, Meta(gt=0, lt=1)]


class Compare(Section, frozen=True):
    """How models are compared."""

    confidence: Annotated[float, Meta(gt=0, lt=1)]
    resamples: Count


class Tracking(Section, frozen=True):
    """Where and how MLflow logs; the server is MLFLOW_TRACKING_URI, or a store in the project."""

    experiment: str
    system_metrics: bool


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
    pairs: Pairs
    train: Train
    mgsm: Mgsm
    baseline: Baseline
    alpaca: Alpaca
    audit: Audit
    compare: Compare
    tracking: Tracking

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


def load(path: Path = paths.PARAMS) -> Settings:
    """Read and check a configuration; raises InputError with file, line and expectation."""
    document = _read_yaml(path, "safe")
    try:
        settings = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise _input_error(path, _explain(error, document)) from error
    for problem in _contradictions(settings):
        raise _input_error(path, problem)
    return settings


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


def _read_yaml(path: Path, kind: Literal["safe", "rt"]) -> Any:
    """The document as plain values (`safe`), or as nodes that know their lines (`rt`: slower)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        document = YAML(typ=kind, pure=True).load(path.read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such file; run lidr in the project's root", path) from error
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", path) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not valid YAML: {error.problem}", path, line) from error
    except YAMLError as error:
        raise InputError(f"not valid YAML: {error}", path) from error
    if not isinstance(document, dict):
        raise InputError("a mapping of the configuration's blocks is expected", path, 1)
    return document


def _contradictions(settings: Settings) -> list[Problem]:
    """What no single field shows: (where, what is wrong) for each."""
    return [
        *_text_problems(settings),
        *_watch_problems(settings),
        *_prompts_problems(settings.prompts),
        *_engine_problems(settings),
        *_mgsm_problems(settings.mgsm),
        *_baseline_problems(settings),
        *_judge_problems(settings.alpaca),
        *_language_problems(settings),
        *_chain_problems(settings),
        *_wording_problems(settings),
        *_train_problems(settings),
    ]


def _text_problems(settings: Settings) -> list[Problem]:
    """Texts that can be no name and no path; `train` of an iteration is checked with the block it changes."""
    return [
        (tuple(name.split(".")), "text without control characters is expected")
        for name, value in flatten(settings).items()
        if isinstance(value, str) and not (value.strip() and value.isprintable())
    ]


def _watch_problems(settings: Settings) -> list[Problem]:
    """What base and prompts read must lie within the folder that DVC watches, or a change would not rerun them."""
    base, prompts = settings.base, settings.prompts
    read: list[tuple[str, str, str | None]] = [
        ("base", base.watch, None if base.model == LAB or base.revision else base.model),
        ("prompts", prompts.watch, None if prompts.source == LAB or prompts.is_on_hub else prompts.source),
        ("prompts", prompts.watch, None if prompts.translation_requests == RULE else prompts.translation_requests),
    ]
    problems: list[Problem] = []
    if base.model == LAB and base.revision is not None:
        problems.append((("base", "revision"), "the lab's base comes with the package; null is expected"))
    for block, watch, path in read:
        if path is not None and not Path(path).is_relative_to(watch):
            problems.append(((block, "watch"), f"{path!r} is read and not within {watch!r}; DVC would miss changes"))
    return problems


def _prompts_problems(prompts: Prompts) -> list[Problem]:
    problems: list[Problem] = []
    if prompts.is_on_hub and prompts.fields is None:
        problems.append((("prompts", "fields"), "a dataset's fields are expected: text, id and answer"))
    if prompts.is_on_hub != (prompts.hub is not None):
        reason = "revision, subset and split are expected" if prompts.is_on_hub else f"null is expected without {HUB!r}"
        problems.append((("prompts", "hub"), reason))
    if prompts.source == LAB:
        for key in ("fields", "answer_language", "translation_requests"):
            if getattr(prompts, key) is not None:
                problems.append((("prompts", key), "the lab's prompts are taken as they are; null is expected"))
    if prompts.answer_language not in (None, *ANSWER_LANGUAGE):
        known = ", ".join(ANSWER_LANGUAGE)
        reason = f"{prompts.answer_language!r} is no version of the wording; there are {known}, and null"
        problems.append((("prompts", "answer_language"), reason))
    if prompts.hub is not None and prompts.fields is not None:
        where_languages_are = (prompts.hub.subset or "", prompts.hub.split, prompts.fields.text)
        if not any("{lang}" in name for name in where_languages_are):
            reason = "'{lang}' is expected in hub.subset, hub.split or fields.text: where the languages are"
            problems.append((("prompts", "hub"), reason))
    return problems


_ENGINE_NEEDS = {
    "transformers": ("dtype", "tokens_per_batch"),
    "vllm": ("dtype", "tokens_per_batch", "vllm"),
    "openai": ("openai",),
}


def _engine_problems(settings: Settings) -> list[Problem]:
    engine = settings.engine
    problems: list[Problem] = []
    for key in ("dtype", "tokens_per_batch", "vllm", "openai"):
        is_given, is_needed = getattr(engine, key) is not None, key in _ENGINE_NEEDS[engine.name]
        if is_needed and not is_given:
            problems.append((("engine", key), f"the engine {engine.name!r} needs it"))
        if is_given and not is_needed:
            problems.append((("engine", key), f"the engine {engine.name!r} has no use for it"))
    return problems if problems or engine.openai is None else _server_problems(settings, engine.openai)


def _server_problems(settings: Settings, server: Server) -> list[Problem]:
    problems = _address_problems(("engine", "openai", "endpoint"), server.endpoint)
    if set(server.models) != set(settings.models):
        expected = ", ".join(settings.models)
        reason = f"the server's name of each model of this file is expected: of {expected}"
        problems.append((("engine", "openai", "models"), reason))
    if settings.alpaca.judge.name == "local":
        reason = "a judge in a folder needs an engine on this machine, not 'openai'"
        problems.append((("alpaca", "judge", "name"), reason))
    for block in ("generate", "translate", "mgsm", "alpaca"):
        if server.takes == "openai" and getattr(settings, block).repetition_penalty != 1:
            reason = "only a server that takes what vLLM's does knows a repetition penalty (engine.openai.takes)"
            problems.append(((block, "repetition_penalty"), reason))
    return problems


def _address_problems(where: Place, address: str) -> list[Problem]:
    # The address is not repeated in the message: somebody may have put a password into it.
    if re.fullmatch(r"https?://[^\s@?#]+", address):
        return []
    return [(where, "an address such as 'https://api.openai.com/v1' is expected, without user, key or query")]


def _mgsm_problems(mgsm: Mgsm) -> list[tuple[tuple[str, ...], str]]:
    if mgsm.examples and mgsm.style not in ("native_cot", "en_cot"):
        return [(("mgsm", "examples"), f"the style {mgsm.style!r} takes no examples; native_cot and en_cot do")]
    return []


def _baseline_problems(settings: Settings) -> list[Problem]:
    model, source = settings.baseline.model, settings.baseline.source
    own = f"{paths.MODELS}/{model}"
    if settings.baseline.is_published:
        if not model or Path(model).name != model:
            return [(("baseline", "model"), "the name of a model of this file or of a generator is expected")]
        if Path(source).is_relative_to(paths.MODELS):
            reason = f"{model!r} is no model of this file; the folder of its published outputs is expected"
            return [(("baseline", "source"), reason)]
    elif model not in {paths.BASE, *settings.iterations}:
        return [(("baseline", "model"), f"{model!r} is no model of this file")]
    elif source != own:
        return [(("baseline", "source"), f"{model!r} is a model of this file, whose answers come from {own!r}")]
    return []


_JUDGE_NEEDS = {
    "lab": (),
    "openai": ("model", "endpoint", "concurrency", "retries", "timeout_seconds"),
    "local": ("model",),
}
_JUDGE_CAN_HAVE = {"openai": ("max_requests", "max_tokens", "prompt_price", "completion_price")}


def _judge_problems(alpaca: Alpaca) -> list[Problem]:
    judge, where = alpaca.judge, ("alpaca", "judge")
    needed, possible = _JUDGE_NEEDS[judge.name], _JUDGE_CAN_HAVE.get(judge.name, ())
    problems: list[Problem] = []
    for key, value in msgspec.structs.asdict(judge).items():
        if key in ("name", "both_orders"):
            continue
        if key in needed and value is None:
            problems.append(((*where, key), f"the judge {judge.name!r} needs a value here"))
        if key not in (*needed, *possible) and value is not None:
            problems.append(((*where, key), f"the judge {judge.name!r} has no use for it; null is expected"))
    if judge.name == "lab" and alpaca.source != "lab":
        problems.append(((*where, "name"), "the lab's checker judges its own instructions only (alpaca.source: lab)"))
    if (judge.prompt_price is None) != (judge.completion_price is None):
        problems.append(((*where, "prompt_price"), "both prices are expected, or neither"))
    if judge.endpoint is not None:
        problems += _address_problems((*where, "endpoint"), judge.endpoint)
    return problems


def _language_problems(settings: Settings) -> list[Problem]:
    problems: list[Problem] = []
    for where, codes in (
        (("dominant",), (settings.dominant,)),
        (("languages",), settings.languages),
        (("mgsm", "languages"), settings.mgsm.languages),
        (("alpaca", "languages"), settings.alpaca.languages),
    ):
        try:
            for code in codes:
                locale(code)
        except InputError as error:
            problems.append((where, str(error)))
        if not codes or len({code.lower() for code in codes}) != len(codes):
            problems.append((where, "one or more languages, each once, are expected"))
    if settings.dominant.lower() in (code.lower() for code in settings.languages):
        problems.append((("languages",), f"the dominant language {settings.dominant!r} must not stand here as well"))
    return problems


def _chain_problems(settings: Settings) -> list[Problem]:
    problems: list[Problem] = []
    known = {paths.BASE, *settings.iterations}
    for name, iteration in settings.iterations.items():
        where, previous = ("iterations", name, "previous"), iteration.previous
        if name == paths.BASE:
            problems.append((("iterations", name), "this is the base; iterations are named m1, m2, ..."))
        elif previous not in known:
            problems.append((where, f"{previous!r} is no model of this file"))
        elif iteration_number(previous) >= iteration_number(name):
            problems.append((where, f"a model before {name!r} is expected, not {previous!r}"))
    if set(settings.models) != known or len(settings.models) != len(known):
        expected = ", ".join(sorted(known, key=iteration_number))
        problems.append((("models",), f"m0 and each iteration are expected, once each: {expected}"))
    return problems


def _wording_problems(settings: Settings) -> list[Problem]:
    version = settings.translate.wording
    if version in TRANSLATION:
        return []
    return [(("translate", "wording"), f"{version!r} is no version of the wording; there are {', '.join(TRANSLATION)}")]


def _train_problems(settings: Settings) -> list[Problem]:
    problems: list[Problem] = []
    for name in settings.iterations:
        where = ("iterations", name, "train") if settings.iterations[name].train else ("train",)
        try:
            train = settings.train_for(name)
        except msgspec.ValidationError as error:
            inner, reason = _explain(error, settings.iterations[name].train, Train)
            problems.append(((*where, *inner), reason))
            continue
        if train.pairs_per_step % train.pairs_per_device:
            problems.append(((*where, "pairs_per_step"), "a multiple of pairs_per_device is expected"))
        if not train.lora_modules:
            problems.append(((*where, "lora_modules"), "one module or more are expected"))
    return problems


def _input_error(path: Path, problem: Problem) -> InputError:
    where, reason = problem
    place = f"{'.'.join(where)}: " if where else ""
    return InputError(place + reason, path, _line_of_key(_read_yaml(path, "rt"), where))


def _explain(error: msgspec.ValidationError, document: Any, kind: type[Section] = Settings) -> Problem:
    """Where in the document a value is not as `kind` says, and msgspec's reason in the words of a YAML file."""
    reason, _, place = str(error).partition(" - at `")
    *_, inner = place.rstrip("`").rpartition("`")
    where = tuple(re.findall(r"\w+|\.\.\.", inner))
    if place.startswith("key` in "):
        if where == ("iterations",):
            return (*where, _bad_name(document)), "iterations are named m1, m2, ..."
        return where, "models are named m0, m1, ..." if "regex" in reason else "keys are expected to be text"
    if "..." in where and where[0] == "iterations":
        where = ("iterations", _bad_iteration(document), *where[2:])
    if found := re.fullmatch(r"Object contains unknown field `(.+)`", reason):
        return (*where, found[1]), "there is no such key"
    if found := re.fullmatch(r"Object missing required field `(.+)`", reason):
        return (*where, found[1]), "this key is missing"
    if found := re.fullmatch(r"Invalid enum value (.+)", reason):
        return where, f"{found[1]} is none of {', '.join(_choices(kind, where))}"
    if "matching regex" in reason:
        return where, "the name of a model is expected: m0, m1, m2, ..."
    return where, reason.replace("`object`", "a mapping").replace("`array`", "a list")


def _bad_name(document: Any) -> str:
    """The first key of `iterations` that cannot be the name of one."""
    return next(str(key) for key in document["iterations"] if not re.search(_MODEL_NAME, str(key)))


def _bad_iteration(document: Any) -> str:
    """The first iteration whose block is not as it should be; msgspec does not tell which."""
    for name, block in document["iterations"].items():
        try:
            msgspec.convert(block, Iteration)
        except msgspec.ValidationError:
            return str(name)
    raise AssertionError("all iterations are as they should be")


def _choices(kind: Any, where: Place) -> tuple[str, ...]:
    for key in where:
        kind = _without_null(get_type_hints(kind)[key])
    return get_args(kind)


def _without_null(kind: Any) -> Any:
    """X of `X | None`, and any other kind as it is."""
    return get_args(kind)[0] if NoneType in get_args(kind) else kind


def _line_of_key(document: Any, keys: Place) -> int | None:
    """The line, from 1, of the innermost of the keys that the document has."""
    line: int | None = None
    node: Any = document
    for key in keys:
        marks = getattr(node, "lc", None)  # ruamel's, of lists and mappings
        if marks is not None and isinstance(node, list):
            return int(marks.item(int(key))[0]) + 1
        if marks is None or key not in node:
            break
        line = marks.key(key)[0] + 1
        node = node[key]
    return line
