"""The keys of the engine `vllm`; those within its block `vllm` are vLLM's own.

engine: {name: vllm, vllm: {dtype: bfloat16, max_num_seqs: 256, tensor_parallel_size: 2}}
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import msgspec

from lidr.config.engines import EngineSettings, Precision
from lidr.config.section import Problem

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
