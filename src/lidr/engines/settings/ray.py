"""The keys of the engine `ray`: where its workers are, and the engine that each holds.

engine: {name: ray, workers: 8, engine: {name: vllm, vllm: {dtype: bfloat16}}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lidr.config.engines import EngineSettings, Precision
from lidr.config.section import Count, Problem, WholeNumber
from lidr.engines.settings.transformers import Transformers
from lidr.engines.settings.vllm import Vllm

if TYPE_CHECKING:
    from lidr.config.settings import Settings
    from lidr.engines.base import Engine
    from lidr.models.policy import Policy


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
