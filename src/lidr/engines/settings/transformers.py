"""The keys of the engine `transformers`.

engine: {name: transformers, device: auto, dtype: float32, tokens_per_batch: 16384, processes: auto}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lidr.config.engines import EngineSettings, Precision
from lidr.config.section import Count
from lidr.pool import cores

if TYPE_CHECKING:
    from lidr.engines.base import Engine
    from lidr.models.policy import Policy


class Transformers(EngineSettings, frozen=True, kw_only=True, tag="transformers"):
    """Hugging Face transformers. `tokens_per_batch` is rows x (prompt + new tokens), padded.

    `processes` are workers on a CPU, with one core each: `auto` starts one per core, null none.
    """

    dtype: Precision = "float32"
    tokens_per_batch: Count = 16384
    processes: Count | Literal["auto"] | None = None

    @property
    def precision(self) -> Precision:
        return self.dtype

    def workers_on(self, device: str) -> int:
        """Worker processes on this device: 0 where the stage computes by itself, as on a GPU."""
        wanted = cores() if self.processes == "auto" else self.processes or 0
        return wanted if device == "cpu" else 0

    def rows_at_once(self, longest: int) -> int:
        return max(1, self.tokens_per_batch // longest)

    def open(self, model: Policy) -> Engine:
        from lidr.engines.transformers import TransformersEngine

        return TransformersEngine(self, model)
