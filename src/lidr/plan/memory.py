"""What generation and training hold in the device's memory, part by part, each with its formula.

Upper estimates: batches as large as params.yaml allows, every row as long as it allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from lidr import config, paths
from lidr.engines.settings import MEMORY_SHARE, Transformers, Vllm
from lidr.plan.shape import Shape
from lidr.plan.work import sides

GIB = 1024**3
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# vLLM's own max_num_batched_tokens on a large GPU.
STEP = 16384
# Buffers of the libraries, and fragmentation.
SLACK = 0.1


@dataclass(frozen=True)
class Part:
    """A part of the memory: its bytes, and how they were counted."""

    name: str
    bytes: int
    formula: str


@dataclass(frozen=True)
class MemoryBudget:
    """All parts, and what to change in params.yaml where they are too much."""

    parts: tuple[Part, ...]
    advice: str

    @property
    def total(self) -> int:
        """Bytes with the slack."""
        return round((1 + SLACK) * sum(part.bytes for part in self.parts))


def generation(
    settings: config.Settings,
    shape: Shape,
    device_memory: int,
    batches: int = 1,
    tokens_per_batch: int | None = None,
) -> MemoryBudget:
    """Weights, adapter, key-value cache and logits of the largest batch, with `batches` of them at once.

    `tokens_per_batch` overrides the engine's.
    """
    engine = settings.engine.local
    if isinstance(engine, Vllm):
        return _vllm(engine, shape, device_memory)
    size, longest = BYTES[settings.engine.precision], longest_request(settings)
    if tokens_per_batch is None:
        tokens_per_batch = engine.tokens_per_batch if isinstance(engine, Transformers) else 0
    tokens = batches * max(tokens_per_batch, longest)
    rows = max(1, tokens // longest)
    # In float32 the adapter is merged into the weights, unless these are quantised.
    is_merged = size == 4 and settings.base.quantization is None
    adapter = 0 if is_merged else shape.adapter
    parts = (
        _weights(settings, shape, size),
        Part("adapter", adapter * 4, f"{_millions(adapter)} parameters x 4 bytes"),
        Part(
            "cache",
            tokens * shape.cached * size,
            f"{tokens:,} tokens x {shape.cached:,} keys and values x {size} bytes",
        ),
        Part(
            "activations",
            tokens * 4 * shape.intermediate * size,
            f"{tokens:,} tokens x 4 x {shape.intermediate:,} x {size} bytes, one layer at a time",
        ),
        Part("logits", 3 * rows * shape.vocabulary * 4, f"3 x {rows:,} rows x {shape.vocabulary:,} tokens x 4 bytes"),
    )
    # A batch holds one request at least.
    lower = "engine.tokens_per_batch or max_new_tokens" if tokens > batches * longest else "max_new_tokens"
    more = "or take bfloat16 (engine.dtype)" if size == 4 else ""
    return MemoryBudget(parts, _advice(settings, shape, lower, more, parts))


def room(settings: config.Settings, shape: Shape, device_memory: int) -> int | None:
    """The largest power of two that `engine.tokens_per_batch` may be on a GPU of this memory; None for other engines.

    It holds the longest request at least.
    """
    if not isinstance(settings.engine.local, Transformers):
        return None
    found = None
    tokens = 1 << (longest_request(settings) - 1).bit_length()
    while generation(settings, shape, device_memory, tokens_per_batch=tokens).total <= device_memory:
        found = tokens
        tokens *= 2
    return found


def training(settings: config.Settings, iteration: str, shape: Shape) -> MemoryBudget:
    """Frozen weights, adapter with gradient and optimizer, activations and logits of one step's micro-batch."""
    from lidr.training.head import AT_ONCE

    train = settings.of_iteration(iteration).train
    dpo, adapter, size = train.dpo, shape.adapter, BYTES[train.dtype]
    tokens = sides(train) * dpo["per_device_train_batch_size"] * dpo["max_length"]
    # Preference training keeps a frozen copy of an adapter that it continues; a new adapter's reference is the base.
    has_copy = settings.iteration(iteration).previous != paths.BASE and train.objective != "sft"
    copies, held_by = (2, "policy, reference") if has_copy else (1, "policy")
    # What a layer keeps of a token for its backward pass: inputs and outputs of its norms and projections. Attention is
    # taken to keep no matrix of tokens x tokens (PyTorch's fused kernels).
    queries_to_values = (shape.heads + 2 * shape.key_value_heads) * shape.head
    layer = 6 * shape.hidden + 2 * queries_to_values + 4 * shape.intermediate
    checkpoint = dpo["gradient_checkpointing"]
    held = shape.layers * shape.hidden + layer if checkpoint else shape.layers * layer
    how = f"{shape.layers} x {shape.hidden:,} + one layer of {layer:,}" if checkpoint else f"{shape.layers} x {layer:,}"
    # All at once where they are few, else a part of them at a time (lidr.training.head).
    logits = tokens * shape.vocabulary
    made = f"{tokens:,} tokens x {shape.vocabulary:,}" if logits <= AT_ONCE else f"{AT_ONCE:,} at a time"
    parts = (
        _weights(settings, shape, size),
        Part("adapter", copies * adapter * 4, f"{copies} x {_millions(adapter)} parameters x 4 bytes ({held_by})"),
        Part("gradient", adapter * 4, f"{_millions(adapter)} x 4 bytes"),
        Part("optimizer", 2 * adapter * 4, f"AdamW: 2 x {_millions(adapter)} x 4 bytes"),
        Part("activations", tokens * held * size, f"{tokens:,} tokens x ({how}) x {size} bytes"),
        Part("logits", 3 * min(logits, AT_ONCE) * 4, f"3 x {made} x 4 bytes (logits, log-softmax, gradient)"),
    )
    lower = [f"train.dpo.{name}" for name in ("per_device_train_batch_size", "max_length") if dpo[name] > 1]
    more = "" if checkpoint else "or turn train.dpo.gradient_checkpointing on"
    return MemoryBudget(parts, _advice(settings, shape, " or ".join(lower), more, parts))


def weight_bytes(settings: config.Settings, shape: Shape, size: int) -> int:
    """Bytes of the base's weights, which base.quantization keeps at four bits in all linear layers but the head.

    Each block of 64 weights has a scale of 4 bytes, or of one byte where the scales are quantised as well.
    """
    how = settings.base.quantization
    if how is None:
        return shape.parameters * size
    scale = (1 + 4 / 256) if how.get("bnb_4bit_use_double_quant") else 4
    return round(shape.linear * (0.5 + scale / 64)) + (shape.parameters - shape.linear) * size


def _weights(settings: config.Settings, shape: Shape, size: int) -> Part:
    how = f"{_millions(shape.parameters)} parameters x {size} bytes"
    if settings.base.quantization is not None:
        how = f"{_millions(shape.parameters)} parameters, linear layers in 4 bits, the rest x {size} bytes"
    return Part("weights", weight_bytes(settings, shape, size), how)


def _advice(settings: config.Settings, shape: Shape, lower: str, more: str, parts: tuple[Part, ...]) -> str:
    """What params.yaml could save; quantising the base, where its weights are most of it."""
    said = [f"lower {lower}"] if lower else []
    said += [more] if more else []
    weights, total = parts[0].bytes, sum(part.bytes for part in parts)
    if settings.base.quantization is None and isinstance(settings.engine, Transformers) and 2 * weights > total:
        said.append("or quantise the base (base.quantization)")
    return ", ".join(said).removeprefix("or ") or "take a smaller model"


def longest_request(settings: config.Settings) -> int:
    """Prompt and answer of the longest request, as far as params.yaml bounds it, data's own values included.

    A translation's prompt is an answer; other prompts are taken to be shorter than the answers to them.
    """
    made = [settings.of_data(name) for name in settings.data]
    translations = [own.generate.max_new_tokens + own.translate.max_new_tokens for own in made]
    answers = [own.generate.max_new_tokens for own in made]
    answers += [block.max_new_tokens for block in settings.generative.values()]
    return max(*translations, *(2 * tokens for tokens in answers))


def _vllm(engine: Vllm, shape: Shape, device_memory: int) -> MemoryBudget:
    """vLLM takes its share of the memory whatever it needs: weights and one longest request must fit into that."""
    size, given = BYTES[engine.precision], engine.vllm
    gpus, share = int(given.get("tensor_parallel_size", 1)), float(given.get("gpu_memory_utilization", MEMORY_SHARE))
    # Without either limit, vLLM's own default.
    tokens = min((length for length in (given.get("max_model_len"), shape.context) if length), default=2048)
    step = int(given.get("max_num_batched_tokens", STEP))
    reserved = round((1 - share) * device_memory / (1 + SLACK))
    parts = (
        Part(
            "weights",
            shape.parameters * size // gpus,
            f"{_millions(shape.parameters)} parameters x {size} bytes over {gpus} GPUs",
        ),
        Part(
            "cache",
            tokens * shape.cached * size // gpus,
            f"one request of {tokens:,} tokens x {shape.cached:,} keys and values x {size} bytes; the rest is for more",
        ),
        Part(
            "activations",
            step * 4 * shape.intermediate * size,
            f"{step:,} tokens a step x 4 x {shape.intermediate:,} x {size} bytes, one layer at a time",
        ),
        Part("not vLLM's", reserved, f"1 - gpu_memory_utilization ({share:g}) of the device"),
    )
    context = "lower" if "max_model_len" in engine.vllm else "set"
    advice = f"raise engine.vllm.tensor_parallel_size, or {context} engine.vllm.max_model_len"
    return MemoryBudget(parts, advice if share >= 0.95 else f"{advice}, or raise engine.vllm.gpu_memory_utilization")


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"
