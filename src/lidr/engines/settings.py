"""The keys of each engine in params.yaml; `lidr.config.engines` finds the classes here.

engine: {name: transformers, device: auto, dtype: float32, tokens_per_batch: 16384, processes: auto}
engine: {name: vllm, vllm: {dtype: bfloat16, max_num_seqs: 256, tensor_parallel_size: 2}}
engine: {name: ray, workers: 8, engine: {name: vllm, vllm: {dtype: bfloat16}}}
engine: {name: openai, endpoint: "http://127.0.0.1:8000/v1", models: {m0: m0, m1: m1}}
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import msgspec

from lidr.config.engines import EngineSettings, Precision
from lidr.config.section import Count, ModelName, Positive, Problem, WholeNumber, address_problems
from lidr.pool import forkable_cores

if TYPE_CHECKING:
    from lidr.config.settings import Settings
    from lidr.engines.base import Engine
    from lidr.models.policy import Policy

# Keys of `LLM` that lidr sets, or that would break the contract.
REFUSED = {
    **dict.fromkeys(("model", "tokenizer", "revision", "tokenizer_revision"), "base.model says which model it is"),
    "trust_remote_code": "base.trust_remote_code says it",
    "seed": "each request has a seed of its own, made from `seed`",
    "load_format": "weights are read from safetensors only",
    "logprobs_mode": "a score is a log-probability",
    "generation_config": "a request says how it is sampled; the model's own defaults change nothing",
    **dict.fromkeys(
        ("enable_lora", "max_loras", "max_lora_rank", "lora_target_modules", "lora_modules"),
        "it follows from the adapter",
    ),
    **dict.fromkeys(("runner", "task", "skip_tokenizer_init"), "the engine writes text"),
}
# Our defaults in place of vLLM's: other stages need a definite precision, which `auto` is not.
DEFAULTS: dict[str, Any] = {"dtype": "bfloat16"}
# vLLM's own defaults, by which `lidr plan` counts.
SEQUENCES, MEMORY_SHARE = 256, 0.9
# A stage that ran out of memory resumes from its shards with another value.
NOT_IN_THE_TEXT = ("gpu_memory_utilization",)


class Transformers(EngineSettings, frozen=True, kw_only=True, tag="transformers"):
    """Hugging Face transformers. `tokens_per_batch` is rows x (prompt + new tokens), padded.

    `processes` are forked workers on a CPU, with one core each: `auto` starts one per core, but only on Linux (other
    systems' libraries may not survive a fork), null none.
    """

    dtype: Precision = "float32"
    tokens_per_batch: Count = 16384
    processes: Count | Literal["auto"] | None = None

    @property
    def precision(self) -> Precision:
        return self.dtype

    def workers_on(self, device: str) -> int:
        """Worker processes on this device: 0 where the stage computes by itself, as on a GPU."""
        wanted = forkable_cores() if self.processes == "auto" else self.processes or 0
        return wanted if device == "cpu" else 0

    def rows_at_once(self, longest: int) -> int:
        return max(1, self.tokens_per_batch // longest)

    def open(self, model: Policy) -> Engine:
        from lidr.engines.transformers import TransformersEngine

        return TransformersEngine(self, model)


class Vllm(EngineSettings, frozen=True, kw_only=True, tag="vllm"):
    """vLLM. The keys of `vllm` are those of its class `LLM`: `dtype`, `tensor_parallel_size`, `max_model_len`, ...

    `batch_invariant` makes its kernels give a row the same bits in any batch, where the device has such kernels.
    """

    library: ClassVar[tuple[str, str] | None] = ("vllm", "gpu")

    vllm: dict[str, Any] = msgspec.field(default_factory=dict)
    batch_invariant: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The keys of `LLM`, completed by our defaults."""
        return DEFAULTS | self.vllm

    @property
    def precision(self) -> Precision:
        found: Precision = self.options["dtype"]
        return found

    def rows_at_once(self, longest: int) -> int:
        return int(self.vllm.get("max_num_seqs", SEQUENCES))

    def fingerprint(self) -> str:
        """All that determines the output."""
        decisive = {key: value for key, value in self.options.items() if key not in NOT_IN_THE_TEXT}
        return msgspec.json.encode([decisive, self.batch_invariant], order="sorted").decode()

    def problems(self, settings: Settings) -> list[Problem]:
        return [(("engine", "vllm", key), reason) for key, reason in self.wrong_keys()]

    def wrong_keys(self) -> list[tuple[str, str]]:
        """Keys that `LLM` does not have, where vLLM is installed to say so, and those that are not the user's."""
        known = _known_keys()
        found = [(key, f"{REFUSED[key]}; it is not set here") for key in self.vllm if key in REFUSED]
        if known:
            found += [(key, "vLLM's EngineArgs has no such key") for key in self.vllm if key not in known | {*REFUSED}]
        if self.options["dtype"] not in get_args(Precision):
            found.append(("dtype", f"{self.options['dtype']!r} is none of {', '.join(get_args(Precision))}"))
        return found

    def open(self, model: Policy) -> Engine:
        from lidr.engines.vllm import VllmEngine

        return VllmEngine(self, model)


class Ray(EngineSettings, frozen=True, kw_only=True, tag="ray"):
    """Ray: workers with another `engine` each, on this machine or at a cluster's `address`.

    A worker takes `rows_per_task` rows at a time; they are retried if it dies.
    """

    library: ClassVar[tuple[str, str] | None] = ("ray", "ray")

    engine: Transformers | Vllm
    workers: Count
    address: str | None = None
    gpus_per_worker: WholeNumber = 1
    rows_per_task: Count = 200

    @property
    def local(self) -> EngineSettings:
        return self.engine

    @property
    def precision(self) -> Precision:
        return self.engine.precision

    def problems(self, settings: Settings) -> list[Problem]:
        held, where = self.engine, ("engine", "engine")
        problems: list[Problem] = [
            ((*where, key), f"engine.{key} says it for the workers as well")
            for key in ("device", "rows_per_shard")
            if getattr(held, key) != getattr(type(held)(), key)
        ]
        if isinstance(held, Vllm):
            problems += [((*where, "vllm", key), reason) for key, reason in held.wrong_keys()]
            size = held.vllm.get("tensor_parallel_size", 1)
            if self.gpus_per_worker not in (0, size):
                reason = f"tensor_parallel_size is {size}; as many are expected, or 0 without GPUs"
                problems.append((("engine", "gpus_per_worker"), reason))
        return problems

    def open(self, model: Policy) -> Engine:
        from lidr.engines.ray import RayEngine

        return RayEngine(self, model)


class OpenAI(EngineSettings, frozen=True, kw_only=True, tag="openai"):
    """Any OpenAI-compatible server. `models` holds its name of each model of this file.

    `takes: openai` is any server; `vllm` one that also continues turns and takes a repetition penalty.
    """

    # The environment variable of its key.
    key_variable: ClassVar[str] = "LIDR_ENGINE_KEY"

    endpoint: str
    models: dict[ModelName, str]
    takes: Literal["openai", "vllm"] = "vllm"
    concurrency: Count = 32
    retries: WholeNumber = 5
    timeout_seconds: Positive = 600.0

    @property
    def local(self) -> None:
        return None

    @property
    def continues_turns(self) -> bool:
        return self.takes == "vllm"

    def rows_at_once(self, longest: int) -> int:
        return self.concurrency

    def problems(self, settings: Settings) -> list[Problem]:
        problems = address_problems(("engine", "endpoint"), self.endpoint)
        if set(self.models) != set(settings.models):
            expected = ", ".join(settings.models)
            problems.append(
                (("engine", "models"), f"the server's name of each model of this file is expected: of {expected}")
            )
        if self.takes == "vllm":
            return problems
        only = "only a server that takes what vLLM's does knows it (engine.takes)"
        for block in ("generate", *(["translate"] if settings.translate.model is None else []), *settings.generative):
            if getattr(settings, block).repetition_penalty != 1:
                problems.append(((block, "repetition_penalty"), only))
        return problems + ([(("generate", "top_k"), only)] if settings.generate.top_k else [])

    def open(self, model: Policy) -> Engine:
        from lidr.engines.openai import OpenAIEngine

        return OpenAIEngine(self, model)


@cache
def _known_keys() -> frozenset[str]:
    """The fields of vLLM's EngineArgs, read from its source as importing takes 15 s; none if it is not installed."""
    spec = find_spec("vllm")
    if spec is None or spec.origin is None:
        return frozenset()
    source = Path(spec.origin).with_name("engine") / "arg_utils.py"
    classes = [node for node in ast.parse(source.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
    return frozenset(
        field.target.id
        for one in classes
        if one.name == "EngineArgs"
        for field in one.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    )
