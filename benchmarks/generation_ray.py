"""Generation on Ray, completion tokens a second: two workers against one process, each with one thread.

    $ python benchmarks/generation_ray.py
    prompts  one process, tokens/s   two workers, tokens/s   times   two processes, tokens/s   times
       1600  ...

The prompts are those of `generation.py`, the model is the lab's base in float32, decoding is greedy, and the answers
must be the same. One process is the transformers engine; two workers are Ray's, which hold the same engine, on a
cluster of this machine. Two processes are the engine's own without Ray: what this machine's cores allow. The cluster,
the processes, imports and the model are there before the clock runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from generation import PROMPTS, in_turn, ours, requests, told
from measuring import PARAMS, child, cost, figure, machine, ratios, save

from lidr import config, policy
from lidr.engines.base import open_engine
from lidr.stages import base

COUNT = 4 * PROMPTS
WORKERS, ROWS_PER_TASK = 2, 200
RAY = {"engine": "transformers", "workers": WORKERS, "rows_per_task": ROWS_PER_TASK, "gpus_per_worker": 0}
SIDES: dict[str, dict[str, Any]] = {
    "ray": {"name": "ray", "processes": None, "ray": RAY | {"address": None}},
    "alone": {"processes": None},
    "processes": {"processes": WORKERS},
}


def work(side: str, count: int) -> dict[str, Any]:
    """Answer all prompts; returns the cost, the number of tokens and a hash of all answers."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["engine"] |= {"device": "cpu", **SIDES[side]}
    model = policy.resolve("m0")
    engine = open_engine(msgspec.convert(values, config.Settings).engine, model)
    asked = requests(count, policy.load_tokenizer(model))
    ours(engine, asked[: WORKERS * ROWS_PER_TASK])
    with cost() as spent:
        done = ours(engine, asked)
    engine.close()
    return told(done, spent)


def measure(count: int, repetitions: int) -> dict[str, Any]:
    """Both sides in turn; raises SystemExit where their answers differ."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        child(__file__, "--write", cwd=here)
        sides = {side: (side,) for side in SIDES}
        return {"workers": WORKERS, **in_turn(__file__, sides, count, repetitions, here, OMP_NUM_THREADS="1")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=COUNT)
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
    print("prompts  one process, tokens/s   two workers, tokens/s   times   two processes, tokens/s   times")
    report: dict[str, Any] = {"machine": machine("ray", "torch", "transformers"), "rows": []}
    report["rows"].append(measure(chosen.prompts, chosen.repetitions))
    speed = report["rows"][0]["tokens_per_second"]
    line = [f"{chosen.prompts:>7}  {figure(speed['alone'])}"]
    for side in ("ray", "processes"):
        line += [figure(speed[side]), figure(ratios(speed[side], speed["alone"]), 2)]
    print("   ".join(line))
    if not chosen.no_save:
        save("generation_ray", report)


if __name__ == "__main__":
    main()
