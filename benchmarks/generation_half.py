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
import tempfile
from math import exp, log
from pathlib import Path
from typing import Any

import msgspec
from generation import best_fixed, in_turn, requests, run, told
from made import RANDOM, SHAPES, write_random_model
from measuring import PARAMS, child, cost

from lidr import config
from lidr.engines.base import Request, Sampling
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


def work(count: int, side: str, rows: str = "0") -> dict[str, Any]:
    """Answer all prompts; returns the cost, the number of tokens and a hash of all answers."""
    engine = TransformersEngine(settings().engine, policy.resolve("m0"))
    asked, rng = requests(count, engine._chat.tokenizer), random.Random(1)
    prompts = [engine._encode(request.conversation) for request in asked]
    lengths = {tuple(ids): round(exp(rng.uniform(log(SHORTEST), log(LONGEST)))) for ids in prompts}
    model = engine._continuous.model
    (end,) = engine._chat.end_ids
    generate, ends = model.generate, Ends(lengths, end, engine._chat.pad_id)
    model.generate = lambda **options: generate(**options, logits_processor=[ends])
    with cost() as spent:
        done = _ours(engine, asked) if side == "ours" else _plain(engine, prompts, int(rows))
    return {"rows": int(rows), **told(done, spent)}


def _ours(engine: TransformersEngine, asked: list[Request]) -> list[tuple[str, int]]:
    found = engine.generate(asked, Sampling(LONGEST), lambda _: None)
    return [(completion.text, completion.completion_tokens) for completion in found]


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
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        child(__file__, "--write", cwd=here)
        sides = {"ours": ("ours",)} | {f"fixed {size}": ("plain", str(size)) for size in FIXED}
        found = in_turn(__file__, sides, count, repetitions, here)
    return {**found, **best_fixed(found["tokens_per_second"])}


def write() -> None:
    write_random_model(config.load(PARAMS), SHAPES["0.5b"], "float32")
    base.run(settings())


if __name__ == "__main__":
    run("generation_half", __doc__ or "", PROMPTS, ("torch", "transformers"), work, measure, write)
