"""The keys of the engine `openai`: a server, and its name of each model of this file.

engine: {name: openai, endpoint: "http://127.0.0.1:8000/v1", models: {m0: m0, m1: m1}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from lidr.config.engines import EngineSettings
from lidr.config.section import Count, ModelName, Positive, Problem, WholeNumber, address_problems

if TYPE_CHECKING:
    from lidr.config.settings import Settings
    from lidr.engines.base import Engine
    from lidr.models.policy import Policy


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
