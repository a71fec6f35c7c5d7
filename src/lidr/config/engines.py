"""The block `engine` of params.yaml, and those of the engines within it.

engine: {name: vllm, dtype: bfloat16, tokens_per_batch: 16384, vllm: {tensor_parallel: 2}}
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from lidr.config.section import Count, ModelName, Positive, Section, WholeNumber


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
