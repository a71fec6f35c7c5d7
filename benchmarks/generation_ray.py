"""Generation on Ray, completion tokens a second: two workers against one process, each with one thread.

    $ python benchmarks/generation_ray.py
    | prompts | one process, tokens/s | 2 workers, tokens/s | times | 2 processes, tokens/s | times |
    | 1,600   | ...

The prompts are those of `generation.py`, the model is the lab's base in float32, decoding is greedy, and the answers
must be the same. One process is the transformers engine; two workers are Ray's, which hold the same engine, on a
cluster of this machine. Two processes are the engine's own without Ray: what this machine's cores allow. The cluster,
the processes, imports and the model are there before the clock runs.
"""

from __future__ import annotations

from typing import Any

import msgspec
from generation import PROMPTS, in_turn, ours, prepared, requests, run, told
from measuring import PARAMS, cost

from lidr import config
from lidr.engines.base import open_engine
from lidr.models import policy

COUNT = 4 * PROMPTS
WORKERS, ROWS_PER_TASK = 2, 200
HELD = {"name": "transformers", "dtype": "float32", "tokens_per_batch": 16384}
SIDES: dict[str, dict[str, Any]] = {
    "ray": {"name": "ray", "engine": HELD, "workers": WORKERS, "rows_per_task": ROWS_PER_TASK, "gpus_per_worker": 0},
    "alone": HELD,
    "processes": HELD | {"processes": WORKERS},
}


def work(count: int, side: str) -> dict[str, Any]:
    """Answer all prompts; returns the cost, the number of tokens and a hash of all answers."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["engine"] = {"device": "cpu", **SIDES[side]}
    model = policy.resolve("m0")
    engine = open_engine(msgspec.convert(values, config.Settings).engine, model)
    asked = requests(count, policy.load_tokenizer(model))
    ours(engine, asked[: WORKERS * ROWS_PER_TASK])
    with cost() as spent:
        done = ours(engine, asked)
    engine.close()
    return told(done, spent)


def measure(count: int, repetitions: int) -> dict[str, Any]:
    """All sides in turn; raises SystemExit where their answers differ."""
    sides = {side: (side,) for side in SIDES}
    with prepared(__file__) as here:
        return {"workers": WORKERS, **in_turn(__file__, sides, count, repetitions, here, OMP_NUM_THREADS="1")}


if __name__ == "__main__":
    run("generation_ray", __doc__ or "", COUNT, ("ray", "torch", "transformers"), work, measure)
