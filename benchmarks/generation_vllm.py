"""Generation on the vLLM engine, completion tokens a second: ours against the same prompts given straight to vLLM.

    $ .venv-vllm/bin/python benchmarks/generation_vllm.py        # `make bench-vllm` makes the environment first
    prompts  ours tokens/s           vllm.LLM tokens/s       times
       1,600  ...

The prompts are those of `generation.py`, the model is the lab's base in float32, decoding is greedy, and both sides
have a vLLM of the same options: ours through `lidr.engines`, the peer's through `LLM.chat`. The answers must be the
same. Imports and loading are not timed; chat templates, encoding and decoding are.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import msgspec
from generation import NEW_TOKENS, in_turn, ours, requests, told
from measuring import PARAMS, child, cost, figure, machine, ratios, save

from lidr import config, policy
from lidr.engines.base import Request
from lidr.engines.vllm import VllmEngine
from lidr.stages import base

PROMPTS = 1600
SIDES = ("ours", "vllm")
WARM_UP = 32  # answers before the clock runs: what vLLM compiles, it has compiled by then
VLLM = {"tensor_parallel": 1, "memory_share": 0.5, "sequences": 128, "context": None, "prefix_caching": True}
ON_CPU = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1"}  # a machine with a GPU ignores them


def settings() -> config.Settings:
    """The lab's profile with the engine vLLM."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["engine"] |= {"name": "vllm", "processes": None, "vllm": VLLM | {"eager": True}}
    return msgspec.convert(values, config.Settings)


def work(side: str, count: int) -> dict[str, Any]:
    """Answer all prompts; returns the cost, the number of tokens and a hash of all answers."""
    engine = VllmEngine(settings().engine, policy.resolve("m0"))
    asked = requests(count, engine._model().tokenizer)
    answer = ours if side == "ours" else _straight
    answer(engine, asked[:WARM_UP])
    with cost() as spent:
        done = answer(engine, asked)
    engine.close()
    return told(done, spent)


def _straight(engine: VllmEngine, asked: Sequence[Request]) -> list[tuple[str, int]]:
    """What a plain script does: all conversations to `LLM.chat` at once."""
    from vllm import SamplingParams

    model = engine._model()
    messages = [list(request.conversation) for request in asked]
    outputs = model.llm.chat(messages, SamplingParams(temperature=0.0, max_tokens=NEW_TOKENS), use_tqdm=False)
    found = [output.outputs[0] for output in outputs]
    return [(one.text, sum(token not in model.end_ids for token in one.token_ids)) for one in found]


def measure(count: int, repetitions: int) -> dict[str, Any]:
    """Both sides in turn; raises SystemExit where their answers differ."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        child(__file__, "--write", cwd=here)
        return in_turn(__file__, {side: (side,) for side in SIDES}, count, repetitions, here, **ON_CPU)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--work", choices=SIDES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        base.run(config.load(PARAMS))
        print("{}")
        return
    if chosen.work:
        print(json.dumps(work(chosen.work, chosen.prompts)))
        return
    print("prompts  ours tokens/s           vllm.LLM tokens/s       times")
    vllm = packages_distributions()["vllm"][0]  # `vllm-cpu` is the build for machines without a GPU
    report: dict[str, Any] = {"machine": machine(vllm, "torch", "transformers"), "rows": []}
    report["rows"].append(measure(chosen.prompts, chosen.repetitions))
    speed = report["rows"][0]["tokens_per_second"]
    times = figure(ratios(speed["ours"], speed["vllm"]), 3)
    print(f"{chosen.prompts:>7}  {figure(speed['ours'])}   {figure(speed['vllm'])}   {times}")
    if not chosen.no_save:
        save("generation_vllm", report)


if __name__ == "__main__":
    main()
