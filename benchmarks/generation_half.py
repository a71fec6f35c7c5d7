"""Generation on the transformers engine at the shape and vocabulary of a 0.5B model, answers of 20 to 400 tokens.

    $ python benchmarks/generation_half.py
    | peer                       | ours, tokens/s | peer, tokens/s | times |
    | plain loop, best fixed (24)| ...

The weights are random, in float32, and decide what is written; an answer ends when it has as many tokens as its prompt
was given: evenly on a log scale, by chance. The peers are plain loops of `generate` over prompts sorted by length, with
several fixed numbers of rows. All sides must write the same answers. transformers' own continuous batching
(`generate_batch`) is for GPUs: on a CPU it took fifty times as long as `generate`, so it is no peer here.
"""

from __future__ import annotations

import random
from functools import partial
from math import exp, log
from typing import Any

import msgspec
from generation import best_fixed, in_turn, main, ours, prepared, requests, told
from made import RANDOM, SHAPES, write_random_model
from measuring import PARAMS, cost

from lidr import config
from lidr.engines.transformers import TransformersEngine
from lidr.models import base, policy

PROMPTS = 24
SHORTEST, LONGEST = 20, 400
FIXED = (8, 24)


def settings() -> config.Settings:
    values = msgspec.to_builtins(config.load(PARAMS))
    values["base"] |= {"model": RANDOM}
    values["engine"] |= {"device": "cpu", "dtype": "float32", "processes": None, "tokens_per_batch": 2**13}
    return msgspec.convert(values, config.Settings)


class Ends:
    """A logits processor by which an answer ends after as many tokens as `lengths` says of its prompt's ids."""

    def __init__(self, lengths: dict[tuple[int, ...], int], end: int, pad: int) -> None:
        self.lengths, self.end, self.pad = lengths, end, pad

    def __call__(self, ids: Any, scores: Any) -> Any:
        scores[:, [self.end, self.pad]] = float("-inf")
        for place, row in enumerate(ids.tolist()):
            whole = tuple(row[next(i for i, token in enumerate(row) if token != self.pad) :])
            for prompt, length in self.lengths.items():
                if whole[: len(prompt)] == prompt and len(whole) - len(prompt) == length:
                    scores[place, self.end] = float("inf")
        return scores


def work(count: int, side: str, rows: int = 0) -> dict[str, Any]:
    """Answer all prompts; returns the cost, the number of tokens and a hash of all answers."""
    engine = TransformersEngine(settings().engine, policy.resolve("m0"))
    asked, rng = requests(count, engine._chat.tokenizer), random.Random(1)
    prompts = [engine._chat.prompt_ids(request.conversation) for request in asked]
    lengths = {tuple(ids): round(exp(rng.uniform(log(SHORTEST), log(LONGEST)))) for ids in prompts}
    model = engine._continuous.model
    (end,) = engine._chat.end_ids
    generate, ends = model.generate, Ends(lengths, end, engine._chat.pad_id)
    model.generate = lambda **options: generate(**options, logits_processor=[ends])
    with cost() as spent:
        done = ours(engine, asked, LONGEST) if side == "ours" else _plain(engine, prompts, rows)
    return told(done, spent)


def _plain(engine: TransformersEngine, prompts: list[list[int]], rows: int) -> list[tuple[str, int]]:
    import torch

    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    done: dict[int, tuple[str, int]] = {}
    for start in range(0, len(order), rows):
        places = order[start : start + rows]
        inputs = engine._chat.tokenizer.pad({"input_ids": [prompts[place] for place in places]}, return_tensors="pt")
        with torch.inference_mode():
            output = engine._continuous.model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        for place, ids in zip(places, output[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            kept = [token for token in ids if token not in (engine._chat.pad_id, *engine._chat.end_ids)]
            done[place] = (engine._chat.read(kept).text, len(kept))
    return [done[place] for place in range(len(prompts))]


def measure(count: int, repetitions: int) -> dict[str, Any]:
    """All sides in turn; raises SystemExit where their answers differ."""
    with prepared(write) as run:
        sides = {"ours": partial(run, work, count, "ours")}
        sides |= {f"fixed {size}": partial(run, work, count, "plain", size) for size in FIXED}
        found = in_turn(sides, count, repetitions)
    return {**found, **best_fixed(found["tokens_per_second"])}


def write() -> None:
    write_random_model(config.load(PARAMS), SHAPES["0.5b"], "float32")
    base.run(settings())


if __name__ == "__main__":
    main("generation_half", __doc__ or "", PROMPTS, ("torch", "transformers"), measure)
