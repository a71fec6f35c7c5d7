"""What generation and training hold in the device's memory, part by part, each with the formula that it comes from.

>>> training(settings, shape).parts
(Part('weights', 15.0 GiB, '8,030.3 M parameters x 2 bytes'), Part('adapter', ...), ...)

Upper estimates: batches as large as params.yaml allows, every row as long as it allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from lidr import config
from lidr.plan.shape import Shape

GIB = 1024**3
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Buffers of the libraries and memory that no request of the right size comes for.
SLACK = 0.1


@dataclass(frozen=True)
class Part:
    """One kind of thing in memory: bytes, and how they were counted."""

    name: str
    bytes: int
    formula: str


@dataclass(frozen=True)
class Budget:
    """All parts, and what to change in params.yaml where they are too much."""

    parts: tuple[Part, ...]
    advice: str

    @property
    def total(self) -> int:
        """Bytes with the slack."""
        return round((1 + SLACK) * sum(part.bytes for part in self.parts))


def generation(settings: config.Settings, shape: Shape, device_memory: int, batches: int = 1) -> Budget:
    """Weights, adapter, key-value cache and logits of the largest batch, of which there may be some at once."""
    engine = settings.engine
    if engine.vllm is not None:
        return _vllm(settings, shape, device_memory)
    size = BYTES[str(engine.dtype)]
    longest = longest_request(settings)
    tokens = batches * max(int(engine.tokens_per_batch or 0), longest)
    rows = max(1, tokens // longest)
    cached = 2 * shape.layers * shape.key_value_heads * shape.head
    # In float32 the adapter is merged into the weights.
    adapter = 0 if size == 4 else shape.adapter(settings.train)
    parts = (
        Part("weights", shape.parameters * size, f"{_millions(shape.parameters)} parameters x {size} bytes"),
        Part("adapter", adapter * 4, f"{_millions(adapter)} parameters x 4 bytes"),
        Part("cache", tokens * cached * size, f"{tokens:,} tokens x {cached:,} keys and values x {size} bytes"),
        Part(
            "activations",
            tokens * 4 * shape.intermediate * size,
            f"{tokens:,} tokens x 4 x {shape.intermediate:,} x {size} bytes, one layer at a time",
        ),
        Part("logits", 3 * rows * shape.vocabulary * 4, f"3 x {rows:,} rows x {shape.vocabulary:,} tokens x 4 bytes"),
    )
    advice = "lower engine.tokens_per_batch or max_new_tokens"
    return Budget(parts, f"{advice}, or take bfloat16 (engine.dtype)" if size == 4 else advice)


def training(settings: config.Settings, shape: Shape) -> Budget:
    """Frozen weights, adapter with gradient and optimizer, activations and logits of one step's micro-batch."""
    train = settings.train
    size = BYTES[train.dtype]
    adapter = shape.adapter(train)
    tokens = 2 * train.pairs_per_device * train.max_tokens
    # A later iteration keeps a frozen copy of the adapter that it goes on from.
    copies, held_by = (2, "policy, reference") if len(settings.iterations) > 1 else (1, "policy")
    layer = _values_of_a_layer(shape)
    checkpoint = train.gradient_checkpointing
    held = shape.layers * shape.hidden + layer if checkpoint else shape.layers * layer
    how = f"{shape.layers} x {shape.hidden:,} + one layer of {layer:,}" if checkpoint else f"{shape.layers} x {layer:,}"
    parts = (
        Part("weights", shape.parameters * size, f"{_millions(shape.parameters)} frozen parameters x {size} bytes"),
        Part("adapter", copies * adapter * 4, f"{copies} x {_millions(adapter)} parameters x 4 bytes ({held_by})"),
        Part("gradient", adapter * 4, f"{_millions(adapter)} x 4 bytes"),
        Part("optimizer", 2 * adapter * 4, f"AdamW: 2 x {_millions(adapter)} x 4 bytes"),
        Part("activations", tokens * held * size, f"{tokens:,} tokens x ({how}) x {size} bytes"),
        _training_logits(tokens, shape),
    )
    lower = [f"train.{name}" for name in ("pairs_per_device", "max_tokens") if getattr(train, name) > 1]
    advice = f"lower {' or '.join(lower)}"
    return Budget(parts, advice if checkpoint else f"{advice}, or turn train.gradient_checkpointing on")


def _training_logits(tokens: int, shape: Shape) -> Part:
    """Logits at once where they are few; else TRL makes a part of them at a time (lidr.training.scoring)."""
    from lidr.training.scoring import AT_ONCE

    how = f"3 x {tokens:,} tokens x {shape.vocabulary:,}"
    if tokens * shape.vocabulary > AT_ONCE:
        how = f"3 x {AT_ONCE:,} at a time"
    values = min(tokens * shape.vocabulary, AT_ONCE)
    return Part("logits", 3 * values * 4, f"{how} x 4 bytes (logits, log-softmax, gradient)")


def longest_request(settings: config.Settings) -> int:
    """Prompt and answer of the longest request, as far as params.yaml bounds it.

    A translation's prompt is an answer; other prompts are taken to be shorter than the answers to them.
    """
    translation = settings.generate.max_new_tokens + settings.translate.max_new_tokens
    answers = [settings.generate.max_new_tokens, *(block.max_new_tokens for block in settings.generative.values())]
    return max(translation, 2 * max(answers))


def _values_of_a_layer(shape: Shape) -> int:
    """Values that one layer keeps for a token's backward pass: its norms' and projections' inputs and outputs.

    Attention is taken to keep no matrix of tokens x tokens (PyTorch's fused kernels).
    """
    queries = shape.heads * shape.head
    keys_and_values = 2 * shape.key_value_heads * shape.head
    return 6 * shape.hidden + 2 * (queries + keys_and_values) + 4 * shape.intermediate


def _vllm(settings: config.Settings, shape: Shape, device_memory: int) -> Budget:
    """vLLM takes its share of the memory whatever it needs: weights and one longest request must fit into that."""
    vllm = settings.engine.vllm
    assert vllm is not None
    size = BYTES[str(settings.engine.dtype)]
    cached = 2 * shape.layers * shape.key_value_heads * shape.head
    # Without either limit, vLLM's own default.
    tokens = min((length for length in (vllm.context, shape.context) if length), default=2048)
    step = int(settings.engine.tokens_per_batch or 0)
    reserved = round((1 - vllm.memory_share) * device_memory / (1 + SLACK))
    parts = (
        Part(
            "weights",
            shape.parameters * size // vllm.tensor_parallel,
            f"{_millions(shape.parameters)} parameters x {size} bytes over {vllm.tensor_parallel} GPUs",
        ),
        Part(
            "cache",
            tokens * cached * size // vllm.tensor_parallel,
            f"one request of {tokens:,} tokens x {cached:,} keys and values x {size} bytes; the rest is for more",
        ),
        Part(
            "activations",
            step * 4 * shape.intermediate * size,
            f"{step:,} tokens a step x 4 x {shape.intermediate:,} x {size} bytes, one layer at a time",
        ),
        Part("not vLLM's", reserved, f"1 - engine.vllm.memory_share ({vllm.memory_share:g}) of the device"),
    )
    advice = "raise engine.vllm.tensor_parallel, or lower engine.vllm.context"
    return Budget(parts, advice if vllm.memory_share >= 0.95 else f"{advice}, or raise engine.vllm.memory_share")


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"
