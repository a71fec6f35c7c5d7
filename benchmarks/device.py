"""Training and generation on one device, and which share of its matrix products and bandwidth they reach.

    $ python benchmarks/device.py            # on a GPU where there is one: bfloat16, a model of the 0.5B class
    | device | parameters | what | tokens/s | roofline, tokens/s | % of it | ...

The model has random weights: its shape alone makes the rate. The roofline is that of `lidr plan`
(`lidr.plan.device`): what a matrix product and a copy reach on the device, measured by the same run, divided by the
operations and bytes that a token costs. `plan` takes 40% of it as what real runs reach; this is the check of that
guess. There is no peer: on a CPU, `training.py` and `generation.py` have them.

- *training*: pairs of 10 to 1,000 tokens through the product's trainer, from the texts to the trained adapter, the
  reference's log-probabilities among it; tokens are those of prompt, chosen and rejected, without padding.
- *generation*: short prompts through the transformers engine, 64 tokens each; tokens are those that are generated.

A first run on a few rows, which is not counted, loads kernels. Results of another device stay in the table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from generation import NEW_TOKENS, ours, room
from made import LONGEST, RANDOM, SHAPES, mixed_pairs, write_random_model
from measuring import PARAMS, child, cost, machine, take_turns
from tables import others, tell
from training import train_ours

from lidr import config
from lidr.engines.base import Request
from lidr.engines.transformers import TransformersEngine
from lidr.lab import world
from lidr.models import base, policy
from lidr.plan import device, shape
from lidr.records.prompt_templates import prompt_conversation

MODELS = {"cuda": "0.5b", "cpu": "20m"}
DTYPES = {"cuda": "bfloat16", "cpu": "float32"}
TOKENS_PER_BATCH = {"cuda": 2**17, "cpu": 2**12}
PAIRS, PROMPTS = {"cuda": 1_600, "cpu": 48}, {"cuda": 4_096, "cpu": 128}
WORK = ("training", "generation")


def settings(kind: str) -> config.Settings:
    """The lab's profile on this device and model, with room for the longest pair."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["base"] |= {"model": RANDOM}
    values["engine"] |= {"device": kind, "dtype": DTYPES[kind], "processes": None}
    values["engine"] |= {"tokens_per_batch": TOKENS_PER_BATCH[kind]}
    values["train"]["dtype"] = DTYPES[kind]
    values["train"]["dpo"] |= {"max_length": LONGEST + 24, "num_train_epochs": 1}
    return msgspec.convert(values, config.Settings)


def train(kind: str) -> dict[str, Any]:
    """Train on pairs of mixed length; returns the cost, and the tokens of all pairs."""
    import torch

    given, reference = settings(kind), policy.resolve("m0")
    tokenizer = policy.load_tokenizer(reference)
    pairs = mixed_pairs(PAIRS[kind], tokenizer)
    for some in (pairs[: given.train.pairs_per_step], pairs):
        model = policy.load_base(reference, getattr(torch, DTYPES[kind]))
        with tempfile.TemporaryDirectory() as scratch, cost() as spent:
            ids = train_ours(model, tokenizer, some, given, Path(scratch), [])
    return {"tokens": sum(len(part) for row in ids for part in row)} | spent


def generate(kind: str) -> dict[str, Any]:
    """Answer short prompts; returns the cost, the tokens, and the rows of a batch."""
    engine = TransformersEngine(settings(kind).engine, policy.resolve("m0"))
    tasks = [task.prompt("en") for task in world.tasks("iterations", world.KINDS, PROMPTS[kind], 0)]
    asked = [Request(f"made-{number}", prompt_conversation(task)) for number, task in enumerate(tasks)]
    ours(engine, asked[:2])
    with cost() as spent:
        done = ours(engine, asked)
    engine.close()
    return {"tokens": sum(tokens for _, tokens in done), "rows": room(engine, asked)} | spent


def measure(kind: str, repetitions: int) -> list[dict[str, Any]]:
    """Both kinds of work in turn, beside the roofline of the device."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        run = partial(child, __file__, "--device", kind, cwd=here)
        run("--work", "write")
        runs = take_turns({what: partial(run, "--work", what) for what in ("speed", *WORK)}, repetitions)
        model = shape.measure(here / RANDOM, MODELS[kind])
    speed = device.Speed(**{name: median(run[name] for run in runs["speed"]) for name in ("flops", "bandwidth")})
    name = device.find(kind, None).name if kind != "cpu" else machine()["processor"]
    about = {"device": name, "dtype": DTYPES[kind], "model": model.name, "parameters": model.parameters}
    about |= {"flops": speed.flops, "bandwidth": speed.bandwidth}
    return [
        {
            **about,
            "what": what,
            "tokens": runs[what][0]["tokens"],
            "seconds": [run["seconds"] for run in runs[what]],
            "tokens_per_second": [round(run["tokens"] / run["seconds"], 2) for run in runs[what]],
            "roofline": round(roofline(kind, what, model, speed, runs[what][0]), 2),
        }
        for what in WORK
    ]


def roofline(kind: str, what: str, model: shape.Shape, speed: device.Speed, run: dict[str, Any]) -> float:
    """Tokens a second if only matrix products and memory counted, by the formulas of `lidr plan`."""
    given = settings(kind)
    if what == "training":
        return device.training_roofline(given, model, speed)
    # With as many rows to a batch as there were.
    return float(run["rows"] / device.step_time(given, model, speed, run["rows"], NEW_TOKENS))


def work(kind: str, what: str) -> dict[str, Any]:
    """One process of its own: a base of random weights with the lab's tokenizer, the speed, or one of `WORK`."""
    if what == "write":
        write_random_model(config.load(PARAMS), SHAPES[MODELS[kind]], DTYPES[kind])
        base.run(settings(kind))
        return {}
    if what == "speed":
        return asdict(device.measure(kind, DTYPES[kind], seconds=3.0))
    return {"training": train, "generation": generate}[what](kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=MODELS, help="Where there is a GPU, that; else the CPU.")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    parser.add_argument("--work", choices=("write", "speed", *WORK), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    kind = chosen.device or policy.pick_device("auto")
    if kind not in MODELS:
        raise SystemExit(f"nothing is set up for a device of kind {kind!r}: pass --device cpu")
    if chosen.work:
        print(json.dumps(work(kind, chosen.work)))
        return
    described, rows = machine("torch", "transformers", "trl", "peft"), measure(kind, chosen.repetitions)
    rows = [*others("device", rows[0]["device"]), *rows]
    tell("device", {"machine": described, "rows": rows}, not chosen.no_save)


if __name__ == "__main__":
    main()
