"""Generation on the vLLM engine, completion tokens a second: ours against the same prompts given straight to vLLM.

    $ .venv-vllm/bin/python benchmarks/generation_vllm.py        # `make bench-vllm` makes the environment first
    prompts  ours tokens/s           vllm.LLM tokens/s       times
        400  ...

The prompts are those of `generation.py`, the model is the lab's base in float32, decoding is greedy, and both sides
have a vLLM of the same options: ours through `lidr.engines`, the peer's through `LLM.chat`. The answers must be the
same. Imports and loading are not timed; chat templates, encoding and decoding are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import msgspec
from generation import NEW_TOKENS, requests
from measuring import PARAMS, child, cost, costs, figure, machine, ratios, save, take_turns

from lidr import config, policy
from lidr.engines.base import Request, Sampling
from lidr.engines.vllm import VllmEngine
from lidr.stages import base

PROMPTS = 400
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
    answer = _ours if side == "ours" else _straight
    answer(engine, asked[:WARM_UP])
    with cost() as spent:
        done = answer(engine, asked)
    engine.close()
    answers = json.dumps([text for text, _ in done]).encode()
    tokens = sum(tokens for _, tokens in done)
    return {"tokens": tokens, "answers": hashlib.sha256(answers).hexdigest(), **spent}


def _ours(engine: VllmEngine, asked: Sequence[Request]) -> list[tuple[str, int]]:
    return [(c.text, c.completion_tokens) for c in engine.generate(asked, Sampling(NEW_TOKENS), lambda _: None)]


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

        def run(side: str) -> dict[str, Any]:
            return child(__file__, "--work", side, "--prompts", str(count), cwd=here, **ON_CPU)

        runs = take_turns({side: partial(run, side) for side in SIDES}, repetitions)
    if len({run["answers"] for found in runs.values() for run in found}) > 1:
        raise SystemExit("not the same work: answers differ")
    return {
        "prompts": count,
        "tokens": runs["ours"][0]["tokens"],
        **costs(runs),
        "tokens_per_second": {
            side: [round(run["tokens"] / run["seconds"], 2) for run in found] for side, found in runs.items()
        },
    }


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
