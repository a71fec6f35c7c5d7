"""Generation on the transformers engine, completion tokens a second: ours against plain loops of `generate`.

    $ python benchmarks/generation.py
    | peer                        | ours, tokens/s | peer, tokens/s | times |
    | plain loop, same rows (74)  | ...
    | plain loop, best fixed (32) | ...

The prompts are texts of the lab of mixed length (10 to 400 tokens), in no order; answers end by themselves or after 64
tokens. All sides decode greedily in float32 with the lab's base, and their answers must be the same. The peers are what
one writes first: batches of a fixed number of rows in prompt order, padded on the left, through `model.generate`.

- *same rows*: as many rows to a batch as ours has on average;
- *best fixed*: the fastest of several batch sizes, found anew in each repetition.

Imports and loading are not timed; encoding and decoding are.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from math import exp, log
from pathlib import Path
from statistics import mean, median
from typing import Any

import msgspec
from measuring import PARAMS, cost, costs, in_new_process, machine, options, rates, take_turns
from tables import tell

from lidr import config
from lidr.engines.base import Engine, Request, Sampling
from lidr.engines.transformers import TransformersEngine
from lidr.lab import world
from lidr.models import base, policy
from lidr.records.prompt_templates import prompt_conversation

PROMPTS = 400
SHORTEST, LONGEST, NEW_TOKENS = 10, 400, 64
FIXED = (8, 32, 128)

Measure = Callable[[int, int], dict[str, Any]]  # count, repetitions


def requests(count: int, tokenizer: Any) -> list[Request]:
    """Prompts of mixed length: a task of the lab, behind as many others as its length has room for."""
    rng = random.Random(0)
    tasks = [task.prompt(lang) for task in world.tasks("iterations", world.KINDS, 200, 0) for lang in ("en", "es")]
    made = []
    for number in range(count):
        room = exp(rng.uniform(log(SHORTEST), log(LONGEST)))
        text = rng.choice(tasks)
        while len(tokenizer(longer := f"{rng.choice(tasks)} {text}")["input_ids"]) < room:
            text = longer
        made.append(Request(f"made-{number}", prompt_conversation(text)))
    return made


def work(count: int, side: str, rows: int = 0) -> dict[str, Any]:
    """Answer all prompts; returns the cost, the number of tokens and a hash of all answers."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["engine"]["device"] = "cpu"
    settings = msgspec.convert(values, config.Settings)
    engine = TransformersEngine(settings.engine, policy.resolve("m0"))
    tokenizer = policy.load_tokenizer(policy.resolve("m0"))
    asked = requests(count, tokenizer)
    engine.generate(asked[:1], Sampling(1), lambda _: None)
    with cost() as spent:
        done = ours(engine, asked) if side == "ours" else _plain(engine._model, tokenizer, asked, rows)
        engine.close()
    return {"rows": rows or room(engine, asked), **told(done, spent)}


def room(engine: TransformersEngine, asked: Sequence[Request]) -> int:
    """The rows of these prompts that the engine's budget has room for."""
    tokens = mean(len(engine._chat.prompt_ids(request.conversation)) for request in asked) + NEW_TOKENS
    return int(min(len(asked), engine.settings.tokens_per_batch / tokens))


def ours(engine: Engine, asked: Sequence[Request], tokens: int = NEW_TOKENS) -> list[tuple[str, int]]:
    """The text and the number of tokens of each answer, by an engine of ours."""
    return [(c.text, c.completion_tokens) for c in engine.generate(asked, Sampling(tokens), lambda _: None)]


def told(done: Sequence[tuple[str, int]], spent: Mapping[str, float]) -> dict[str, Any]:
    """What a side's process tells of its work: the tokens, a hash of all answers, and what they took."""
    answers = json.dumps([text for text, _ in done]).encode()
    return {"tokens": sum(tokens for _, tokens in done), "answers": sha256(answers).hexdigest(), **spent}


@contextmanager
def prepared(write: Callable[[], None], **variables: str) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs functions in processes of their own, in a folder with the base that `write` writes."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        run = partial(in_new_process, here=Path(folder), **variables)
        run(write)
        yield run


def in_turn(sides: Mapping[str, Callable[[], dict[str, Any]]], count: int, repetitions: int) -> dict[str, Any]:
    """All sides in turn; SystemExit where their answers differ."""
    runs = take_turns(sides, repetitions)
    if len({run["answers"] for found in runs.values() for run in found}) > 1:
        raise SystemExit("not the same work: answers differ")
    return {
        "prompts": count,
        "tokens": next(iter(runs.values()))[0]["tokens"],
        **costs(runs),
        "tokens_per_second": rates(runs, "tokens", 2),
    }


def _plain(model: Any, tokenizer: Any, asked: list[Request], rows: int) -> list[tuple[str, int]]:
    """What a plain script does: `generate` on so many rows at a time, in the order of the prompts."""
    import torch

    done = []
    for start in range(0, len(asked), rows):
        messages = [list(request.conversation) for request in asked[start : start + rows]]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
        )
        with torch.inference_mode():
            output = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
            )
        for ids in output[:, inputs["input_ids"].shape[1] :]:
            text = tokenizer.decode(ids, skip_special_tokens=True)
            kept = ids[(ids != tokenizer.pad_token_id) & (ids != tokenizer.eos_token_id)]
            done.append((text, len(kept)))
    return done


def measure(count: int, repetitions: int) -> dict[str, Any]:
    """All sides in turn; raises SystemExit where their answers differ."""
    with prepared(write_base) as run:
        rows = run(work, count, "ours")["rows"]
        sides = {"ours": partial(run, work, count, "ours"), "same rows": partial(run, work, count, "plain", rows)}
        sides |= {f"fixed {size}": partial(run, work, count, "plain", size) for size in FIXED}
        found = in_turn(sides, count, repetitions)
    return {**found, "rows_per_batch": rows, **best_fixed(found["tokens_per_second"])}


def best_fixed(speed: dict[str, list[float]]) -> dict[str, Any]:
    """The speeds of ours, of the same rows, and of the fixed size with the highest median, which is named."""
    best = max((name for name in speed if name.startswith("fixed")), key=lambda name: median(speed[name]))
    kept = {name: speed[name] for name in ("ours", "same rows") if name in speed} | {"best fixed": speed[best]}
    return {"best_fixed_rows": int(best.split()[1]), "tokens_per_second": kept}


def write_base() -> None:
    base.run(config.load(PARAMS))


def main(name: str, doc: str, prompts: int, packages: Sequence[str], measure: Measure) -> None:
    """The command of a benchmark of generation."""
    parser = options(doc, repetitions=3)
    parser.add_argument("--prompts", type=int, default=prompts)
    chosen = parser.parse_args()
    described = machine(*packages)
    tell(name, {"machine": described, "rows": [measure(chosen.prompts, chosen.repetitions)]}, not chosen.no_save)


if __name__ == "__main__":
    main("generation", __doc__ or "", PROMPTS, ("torch", "transformers", "peft"), measure)
