"""The paper's run, ten times it and a thousand times it, on paper: the table of docs/scale.md.

python docs/scale.py     print it (docs/generate.py writes it into the document)

Rows and tokens are what `lidr plan` counts for the profile `paper` with more prompts; rates are its roofline with an
H100's published figures. Everything that is assumed stands below, by name.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lidr import config
from lidr.plan import device, work
from lidr.plan.shape import Shape

PROFILE = Path(__file__).resolve().parents[1] / "profiles" / "paper.yaml"

# Llama-3-8B's measures, as its config.json has them.
LLAMA_8B = Shape(
    name="meta-llama/Meta-Llama-3-8B-Instruct",
    parameters=8_030_261_248,
    embedding=128_256 * 4096,
    linear=8_030_261_248 - 2 * 128_256 * 4096 - 65 * 4096,  # all but embedding, head and norms
    layers=32,
    hidden=4096,
    intermediate=14_336,
    heads=32,
    key_value_heads=8,
    head=128,
    vocabulary=128_256,
    context=8192,
)

# An H100 SXM's data sheet: dense bfloat16 operations and bytes a second. `lidr plan` takes 40% of them, or what a layer
# takes to be launched where that is more.
H100 = device.Speed(flops=989e12, bandwidth=3.35e12, launches=True)
ANSWER_TOKENS, PROMPT_TOKENS = 300, 150  # what `lidr plan` assumes
GPU_PRICE = 2.5  # US dollars an hour
JUDGE_SECONDS = 2.0  # for one answer of the judge
BYTES_PER_TOKEN = 4  # of text in UTF-8
BYTES_PER_ROW = 200  # of a record beside its texts
BYTES_PER_ID = 36  # of a token id in a list of Python's
MACHINE_MEMORY = 2**40  # bytes, of a machine with eight GPUs
GPUS = {1: 1, 10: 8, 1000: 64}  # by how many times the paper's prompts


@dataclass(frozen=True)
class Estimate:
    """One column of the table; tokens, bytes and hours are of all iterations and evaluations together."""

    times: int
    gpus: int
    training_gpus: int
    prompts: int
    rows: int
    pairs: int
    generated: int
    trained: int
    bytes_on_disk: int
    bytes_in_training: int
    generation_hours: float
    training_hours: float
    judge_hours: float
    gpu_cost: float
    judge_cost: float

    @property
    def bottleneck(self) -> str:
        """What gives way first: the memory of the machine that trains, or whatever takes longest."""
        if self.bytes_in_training > MACHINE_MEMORY:
            return "memory in `train`"
        hours = {"the judge": self.judge_hours, "generation": self.generation_hours, "training": self.training_hours}
        return max(hours, key=lambda name: hours[name])


def estimate(times: int, paper: config.Settings) -> Estimate:
    """What the paper's run takes with so many times its prompts, the evaluations as they are."""
    prompts = msgspec.structs.replace(paper.prompts, per_iteration=times * paper.prompts.per_iteration)
    settings = msgspec.structs.replace(paper, prompts=prompts)
    lengths, gpus = work.Lengths(ANSWER_TOKENS, PROMPT_TOKENS), GPUS[times]
    stages = work.of(settings, lengths)
    made = [stage for stage in stages if stage.kind == "generate"]
    trained = [stage for stage in stages if stage.kind == "train"]
    # A step's pairs are shared out: more GPUs than pairs have nothing to do.
    training_gpus = min(gpus, settings.train.pairs_per_step // settings.train.dpo["per_device_train_batch_size"])
    generated, seen = (sum(stage.tokens for stage in kind) for kind in (made, trained))
    generation = generated / device.generation_rate(settings, LLAMA_8B, H100, ANSWER_TOKENS) / 3600
    training = seen / device.training_rate(settings, LLAMA_8B, H100, lengths) / 3600
    (asked,) = work.judges(settings, lengths)
    assert isinstance(asked.judge, config.OpenAIJudge) and asked.cost is not None
    return Estimate(
        times=times,
        gpus=gpus,
        training_gpus=training_gpus,
        prompts=prompts.per_iteration,
        rows=sum(stage.rows for stage in made),
        pairs=sum(stage.rows for stage in trained),
        generated=generated,
        trained=seen,
        # Answers and translations once by themselves and once in the pairs.
        bytes_on_disk=BYTES_PER_TOKEN * (generated + seen) + BYTES_PER_ROW * sum(stage.rows for stage in stages),
        # Every process holds the iteration's pairs.
        bytes_in_training=training_gpus * max(stage.tokens for stage in trained) * BYTES_PER_ID,
        generation_hours=generation / gpus,
        training_hours=training / training_gpus,
        judge_hours=asked.questions * JUDGE_SECONDS / asked.judge.concurrency / 3600,
        gpu_cost=(generation + training) * GPU_PRICE,
        judge_cost=asked.cost,
    )


def table() -> str:
    """All estimates side by side, and the rates that they come from."""
    paper = config.load(PROFILE)
    found = [estimate(times, paper) for times in GPUS]
    lines = {
        "": [f"x {e.times:,}" for e in found],
        "prompts an iteration": [f"{e.prompts:,}" for e in found],
        "H100s, of which train": [f"{e.gpus}, {e.training_gpus}" for e in found],
        "rows generated": [f"{e.rows:,}" for e in found],
        "pairs at most": [f"{e.pairs:,}" for e in found],
        "tokens generated": [_short(e.generated) for e in found],
        "tokens trained on": [_short(e.trained) for e in found],
        "data on disk": [f"{_short(e.bytes_on_disk)}B" for e in found],
        "pairs in memory while training": [f"{_short(e.bytes_in_training)}B" for e in found],
        "hours of generation": [_hours(e.generation_hours) for e in found],
        "hours of training": [_hours(e.training_hours) for e in found],
        "hours of judging": [_hours(e.judge_hours) for e in found],
        "GPUs, US dollars": [f"{e.gpu_cost:,.0f}" for e in found],
        "judge, US dollars": [f"{e.judge_cost:,.0f}" for e in found],
        "first bottleneck": [e.bottleneck for e in found],
    }
    head, *rows = (f"| {name} | {' | '.join(values)} |" for name, values in lines.items())
    lengths = work.Lengths(ANSWER_TOKENS, PROMPT_TOKENS)
    rates = (
        device.generation_rate(paper, LLAMA_8B, H100, ANSWER_TOKENS),
        device.training_rate(paper, LLAMA_8B, H100, lengths),
    )
    return "\n".join(
        [
            head,
            f"|---|{'--:|' * len(found)}",
            *rows,
            "",
            f"Rates of one GPU: {rates[0]:,.0f} tokens/s generating and {rates[1]:,.0f} training, {device.SHARE:.0%} "
            f"of the roofline for {H100.flops / 1e12:,.0f} TFLOP/s and {H100.bandwidth / 1e12:.2f} TB/s.",
        ]
    )


def _short(count: float) -> str:
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:,.0f} "


def _hours(hours: float) -> str:
    return f"{hours:.1f}" if hours < 100 else f"{hours:,.0f}"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
