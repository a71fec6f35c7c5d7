"""The block `engine` of params.yaml: what all engines have, and the union of their own settings by `name`.

engine: {name: transformers, device: auto, dtype: float32, tokens_per_batch: 16384, rows_per_shard: 1000}

Each engine's settings are a class in `lidr/engines/settings.py`; every class there joins the union by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Union

from lidr.config.section import Count, Problem, Tagged

if TYPE_CHECKING:
    from lidr.config.settings import Settings

Precision = Literal["float32", "bfloat16", "float16"]


class EngineSettings(Tagged, frozen=True, kw_only=True):
    """The engine of all stages that generate text.

    `device` is training's as well. A killed stage resumes after its last complete shard of `rows_per_shard`.
    """

    # The library that it needs and the extra of lidr's that installs it.
    library: ClassVar[tuple[str, str] | None] = None

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    rows_per_shard: Count = 1000

    @property
    def local(self) -> EngineSettings | None:
        """The engine that computes with the project's own files: None where a server does."""
        return self

    @property
    def precision(self) -> Precision:
        """The precision that it computes in; other models beside it do so too."""
        return "float32"

    @property
    def continues_turns(self) -> bool:
        """Whether it can continue an assistant's turn: not every server does."""
        return True

    @property
    def gives_log_probabilities(self) -> bool:
        """Whether it can tell the log-probability of a given text."""
        return self.local is not None

    def rows_at_once(self, longest: int) -> int:
        """How many rows of so many tokens it generates at a time, for `lidr plan`. One with batches overrides it."""
        return 1

    def problems(self, settings: Settings) -> list[Problem]:
        """What contradicts itself or other blocks."""
        return []

    def open(self, model: Any) -> Any:
        """The engine (`lidr.engines.base.Engine`) with a policy; its model is loaded when it is first used."""
        raise NotImplementedError


def _kinds() -> tuple[type[EngineSettings], ...]:
    """The classes of lidr/engines/settings.py; imported by name, as that package stands above this one."""
    import_module("lidr.engines.settings")
    return tuple(sorted(EngineSettings.__subclasses__(), key=lambda kind: str(kind.__struct_config__.tag)))


KINDS = _kinds()

if TYPE_CHECKING:
    Engine = EngineSettings
else:
    Engine = Union[KINDS]  # noqa: UP007 - their number is not known here
