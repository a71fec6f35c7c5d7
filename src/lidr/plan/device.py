"""What there is to compute on, and how fast: measured in a second by two small runs, not looked up.

A rate is what the slower of the two allows (a roofline), times the share of it that real runs reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lidr import config, machine
from lidr.engines.settings import Ray, Transformers, Vllm
from lidr.models import policy
from lidr.plan.memory import BYTES, GIB, longest_request, weight_bytes
from lidr.plan.shape import Shape
from lidr.plan.work import Lengths, sides

# Seconds to load and compile a model, roughly.
START_UP = {"vllm": 75.0, "cuda": 30.0, "mps": 30.0, "cpu": 10.0, "other": 30.0}
# Share of the longest answer's excess over the mean that is assumed to run at batch size 1.
TAIL = 0.5

# The share of a plain matrix product's and a plain copy's rate that generation and training reach, about: training
# reached 24% at the shape of Llama-3-8B on an H200, at that of Qwen2.5-0.5B on a CPU 56% at short rows and 26% at rows
# of 4,000 tokens with recomputed activations (docs/performance.md).
SHARE = 0.4
# Least seconds for one layer of a step on a GPU, however small: Python launches the kernels one by one. Measured on an
# H200 with Qwen2.5-Coder-0.5B: a token of every row by transformers' `generate`, and a micro-batch of training, the
# reference's share with it (docs/real-model.md). vLLM captures its steps as graphs.
GENERATION_LAUNCH = 0.0037
TRAINING_LAUNCH = 0.0075


@dataclass(frozen=True)
class Device:
    """`kind` is cuda, mps, cpu, or `other` for one that is not here; memory in bytes."""

    kind: str
    name: str
    memory: int


@dataclass(frozen=True)
class Speed:
    """Floating-point operations and bytes a second, and whether kernels are launched one by one, as on a GPU."""

    flops: float
    bandwidth: float
    launches: bool = False


@dataclass(frozen=True)
class Rates:
    """Tokens a second that generation writes and reads and that training sees, and where they come from.

    `reading` is of prompts by all of Ray's workers, `scoring` of texts by one process. `start_up` are the seconds until
    a model is loaded. Given rates do not cover reading and single rows, which then cost nothing.
    """

    generation: float
    training: float
    why: str
    start_up: float
    reading: float = math.inf
    scoring: float = math.inf
    single_row_seconds: float = 0.0  # of one step


def find(wanted: str, memory_gib: float | None) -> Device:
    """The device that the stages would take; with `memory_gib`, one that is not here."""
    if memory_gib is not None:
        return Device("other", "another device", round(memory_gib * GIB))
    import torch

    kind = policy.pick_device(wanted)
    if kind == "cuda":
        properties = torch.cuda.get_device_properties(0)
        return Device(kind, properties.name, properties.total_memory)
    if kind == "mps":
        return Device(kind, "Apple GPU", torch.mps.recommended_max_memory())
    return Device(kind, "this machine's CPU", machine.memory())


def rates(
    settings: config.Settings,
    shape: Shape,
    there: Device,
    lengths: Lengths,
    generation: float | None,
    training: float | None,
) -> Rates:
    """The rates that were given, or what the device should reach by `measure`."""
    start_up = START_UP["vllm" if isinstance(settings.engine.local, Vllm) else there.kind]
    if generation and training:
        return Rates(generation, training, "as given", start_up)
    computes_in = (settings.engine.precision, settings.train.dtype)
    speeds = {dtype: measure(there.kind, dtype) for dtype in dict.fromkeys(computes_in)}
    speed, in_training = (speeds[dtype] for dtype in computes_in)
    workers = settings.engine.workers if isinstance(settings.engine, Ray) else 1
    reached = " and ".join(
        f"in {dtype}: {found.flops / 1e9:,.0f} GFLOP/s in a matrix product, {found.bandwidth / 1e9:,.0f} GB/s in a copy"
        for dtype, found in speeds.items()
    )
    why = f"{SHARE:.0%} of what this device reached just now {reached}"
    if speed.launches:
        why += f", and {1000 * TRAINING_LAUNCH:g} ms a layer at least for a step of training"
        if isinstance(settings.engine.local, Transformers):
            why += f", {1000 * GENERATION_LAUNCH:g} ms for one of generation"
    scoring = SHARE * speed.flops / (2 * (shape.parameters - shape.embedding))
    return Rates(
        generation or workers * generation_rate(settings, shape, speed, lengths.answer),
        training or training_rate(settings, shape, in_training, lengths),
        why,
        start_up,
        reading=workers * scoring,
        scoring=scoring,
        single_row_seconds=_step_seconds(settings, shape, speed, rows=1, answer_tokens=lengths.answer),
    )


def generation_rate(settings: config.Settings, shape: Shape, speed: Speed, answer_tokens: int) -> float:
    """Tokens a second that the largest batches write."""
    engine = settings.engine.local or settings.engine
    rows = engine.rows_at_once(longest_request(settings))
    return rows / _step_seconds(settings, shape, speed, rows, answer_tokens)


def _step_seconds(settings: config.Settings, shape: Shape, speed: Speed, rows: int, answer_tokens: int) -> float:
    """Of one step of generation: it reads all weights and the cache once, two operations a weight and row."""
    size = BYTES[settings.engine.precision]
    cached = shape.cached * size * answer_tokens
    weights = weight_bytes(settings, shape, size) - shape.embedding * size
    reading = (weights + rows * cached) / speed.bandwidth
    computing = 2 * (shape.parameters - shape.embedding) * rows / speed.flops
    launched = speed.launches and isinstance(settings.engine.local, Transformers)
    launching = GENERATION_LAUNCH * shape.layers if launched else 0.0
    return max(launching, max(reading, computing) / SHARE)


def training_rate(settings: config.Settings, shape: Shape, speed: Speed, lengths: Lengths) -> float:
    """Tokens a second, in micro-batches of rows that are as long as is assumed.

    A weight and token take 2 operations forward, 2 backward to the inputs, 2 in the reference, 2 where activations are
    recomputed.
    """
    train, dpo = settings.train, settings.train.dpo
    operations = 4 + 2 * (train.objective != "sft") + 2 * dpo["gradient_checkpointing"]
    row = min(lengths.prompt + lengths.answer, dpo["max_length"])
    tokens = sides(train) * dpo["per_device_train_batch_size"] * row
    computing = tokens * operations * (shape.parameters - shape.embedding) / speed.flops
    launching = TRAINING_LAUNCH * shape.layers if speed.launches else 0.0
    return tokens / max(launching, computing / SHARE)


def measure(kind: str, dtype: str, seconds: float = 0.4) -> Speed:
    """A matrix product and a copy, each repeated for so long."""
    import torch
    from torch.utils.benchmark import Timer

    values = getattr(torch, dtype)
    side = 1024 if kind == "cpu" else 4096
    # Random values: products of ones draw less power, and are faster than those of a model on some devices.
    left, right = (torch.randn(side, side, device=kind).to(values) for _ in range(2))
    long = torch.ones(2**24 if kind == "cpu" else 2**27, dtype=values, device=kind)
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(kind, lambda: None)
    names = {"left": left, "right": right, "long": long, "copy": torch.empty_like(long), "wait": wait}
    product, copied = (
        Timer(f"{step}; wait()", globals=names, num_threads=torch.get_num_threads()).blocked_autorange(
            min_run_time=seconds
        )
        for step in ("left @ right", "copy.copy_(long)")
    )
    moved = 2 * long.numel() * BYTES[dtype]
    return Speed(flops=2 * side**3 / product.mean, bandwidth=moved / copied.mean, launches=kind == "cuda")
