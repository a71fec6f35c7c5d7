"""DPO with a likelihood term at the shapes of published models: ours against TRL's DPOTrainer, on a GPU or a CPU.

    $ python benchmarks/training_shapes.py --shape 0.5b 8b       # on a GPU
    $ python benchmarks/training_shapes.py --shape 0.5b --pairs 4 --at-once 1 --repetitions 1     # a CPU: a few pairs
    | shape | rows  | pairs at once | tokens | ours, tokens/s | TRL, tokens/s | times | ours, GiB | TRL, GiB | ...

The weights are random: a model's shape alone makes its speed. `short` rows have prompts of 100 to 200 tokens and
answers of 250 to 550; `long` rows have 4,000 tokens in all. Both sides get the same token ids, LoRA layers, batches and
seed, with one log a step; neither recomputes activations, or both do (`--recompute`: a pair of long rows has 35 GB of
them at 0.5B). Time is from the ids to the trained adapter, the reference's log-probabilities among it. Losses must
agree, within the precision that is computed in, or the benchmark fails.

TRL's likelihood term is a mean over the tokens of a micro-batch, so ours is set to that as well. The last column counts
the operations that the rows need (2 a weight and token forwards, as many backwards and for the reference) against what
a matrix product reaches on the device in the same run.
"""

from __future__ import annotations

import argparse
import gc
import random
import tempfile
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
from made import SHAPES
from measuring import PARAMS, cost, costs, in_new_process, machine, options, take_turns
from tables import others, tell
from training import loss_difference, losses_of, trl_arguments

from lidr import config
from lidr.models import policy
from lidr.plan import device

ROWS = {"short": ((100, 200), (250, 550)), "long": ((1_500, 1_500), (2_499, 2_499))}  # tokens of prompts and of answers
FEWEST_TOKENS = 512  # of a vocabulary: ids are drawn below it
DTYPES = {"cuda": "bfloat16", "cpu": "float32"}
SETTING = ("device", "shape", "rows", "pairs_at_once", "recompute")  # a row of the table for each
TOLERANCE = {"bfloat16": 5e-2, "float32": 1e-3}

Rows = list[dict[str, list[int]]]


def token_rows(count: int, kind: str) -> Rows:
    """Pairs of random token ids; an answer ends in the end token."""
    rng, (prompts, answers) = random.Random(0), ROWS[kind]

    def ids(lengths: tuple[int, int]) -> list[int]:
        return [rng.randrange(3, FEWEST_TOKENS) for _ in range(rng.randint(*lengths))]

    return [
        {"prompt_ids": ids(prompts), "chosen_ids": [*ids(answers), 2], "rejected_ids": [*ids(answers), 2]}
        for _ in range(count)
    ]


def settings(kind: str, per_device: int, recompute: bool) -> config.Settings:
    values = msgspec.to_builtins(config.load(PARAMS))
    values["engine"] |= {"device": kind, "processes": None}
    values["train"] |= {"dtype": DTYPES[kind], "alpha": 1.0, "likelihood_mean": "token", "pairs_per_step": 8}
    values["train"]["dpo"] |= {"beta": 0.1, "learning_rate": 1e-4, "logging_steps": 1, "num_train_epochs": 1}
    values["train"]["dpo"] |= {"per_device_train_batch_size": per_device, "max_length": 8192}
    values["train"]["dpo"]["gradient_checkpointing"] = recompute
    return msgspec.convert(values, config.Settings)


def random_model(shape: str, kind: str) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    made = LlamaConfig(**SHAPES[shape], max_position_embeddings=8192, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    with torch.device(kind):
        return LlamaForCausalLM._from_config(made, dtype=getattr(torch, DTYPES[kind]))


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({f"<{i}>": i for i in range(FEWEST_TOKENS)}, unk_token="<1>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<0>", eos_token="<2>")


def train_ours(model: Any, rows: Rows, given: config.Settings, scratch: Path) -> Any:
    from lidr.training.arguments import arguments
    from lidr.training.trainer import make

    args = arguments(given.train, given, scratch)
    return make(model, tokenizer(), rows, given.train, args, scratch, lambda metrics, step: None)  # type: ignore[arg-type]


def train_trl(model: Any, rows: Rows, given: config.Settings, scratch: Path) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    class TokenRows(DPOTrainer):
        """TRL's trainer on rows that are token ids already."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    return TokenRows(
        model=model,
        args=trl_arguments(given, scratch),
        train_dataset=Dataset.from_list([dict(row) for row in rows]),
        processing_class=tokenizer(),
        peft_config=LoraConfig(**given.train.lora, task_type="CAUSAL_LM"),
    )


SIDES = {"ours": train_ours, "peer": train_trl}


def work(side: str, shape: str, rows: Rows, kind: str, given: config.Settings) -> dict[str, Any]:
    """A side's process: on a GPU it first trains on a few rows, which are not counted."""
    if kind == "cuda":
        run(side, shape, rows[:8], kind, given)
    return run(side, shape, rows, kind, given)


def run(side: str, shape: str, rows: Rows, kind: str, given: config.Settings) -> dict[str, Any]:
    """Train once on the rows; returns the cost, the losses, and the GPU's peak memory in bytes (0 on a CPU)."""
    import torch

    model = random_model(shape, kind)
    torch.manual_seed(given.seed)
    if kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as scratch, cost() as spent:
        trainer = SIDES[side](model, rows, given, Path(scratch))
        trainer.train()
        if kind == "cuda":
            torch.cuda.synchronize()
    losses = losses_of(trainer)
    peak = torch.cuda.max_memory_allocated() if kind == "cuda" else 0
    del trainer, model
    gc.collect()
    if kind == "cuda":
        torch.cuda.empty_cache()
    return {"losses": losses, "gpu_bytes": peak} | spent


def operations(shape: str, rows: Rows) -> float:
    """What the rows need: 2 a weight and token, three times; logits for the tokens of answers alone."""
    at = SHAPES[shape]
    head = at["hidden_size"] // at["num_attention_heads"]
    attention = 2 * at["hidden_size"] ** 2 + 2 * at["hidden_size"] * head * at["num_key_value_heads"]
    layers = at["num_hidden_layers"] * (attention + 3 * at["hidden_size"] * at["intermediate_size"])
    answers = sum(len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in rows)
    tokens = answers + 2 * sum(len(row["prompt_ids"]) for row in rows)
    return 6.0 * (layers * tokens + at["hidden_size"] * at["vocab_size"] * answers)


def measure(shape: str, kind_of_rows: str, kind: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Both sides in turn, each run in a process of its own; SystemExit where their losses differ."""
    rows, given = token_rows(chosen.pairs, kind_of_rows), settings(kind, chosen.at_once, chosen.recompute)
    here = Path.cwd()
    sides = {side: partial(in_new_process, work, side, shape, rows, kind, given, here=here) for side in SIDES}
    found = take_turns(sides, chosen.repetitions)
    losses = [found[side][0]["losses"] for side in SIDES]
    difference = loss_difference(*losses, TOLERANCE[DTYPES[kind]])
    tokens = sum(2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in rows)
    speed = device.measure(kind, DTYPES[kind], seconds=2.0)
    return {
        "device": machine()["processor"] if kind == "cpu" else device.find(kind, None).name,
        "dtype": DTYPES[kind],
        "shape": shape,
        "rows": kind_of_rows,
        "pairs": chosen.pairs,
        "pairs_at_once": chosen.at_once,
        "recompute": chosen.recompute,
        "tokens": tokens,
        "loss_difference": difference,
        **costs(found),
        "gpu_bytes": {side: max(run["gpu_bytes"] for run in runs) for side, runs in found.items()},
        "tokens_per_second": {
            side: [round(tokens / run["seconds"], 1) for run in runs] for side, runs in found.items()
        },
        "flops": speed.flops,
        "share": [operations(shape, rows) / run["seconds"] / speed.flops for run in found["ours"]],
    }


def main() -> None:
    parser = options(__doc__, repetitions=2)
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=["0.5b"])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["short"])
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--at-once", type=int, default=4, help="Pairs of one micro-batch.")
    parser.add_argument("--recompute", action="store_true", help="Compute activations anew (gradient_checkpointing).")
    chosen = parser.parse_args()
    kind = policy.pick_device("auto")
    described, rows = machine("torch", "transformers", "trl", "peft"), []
    for shape, of_rows in product(chosen.shape, chosen.rows):
        rows.append(measure(shape, of_rows, kind, chosen) | {"machine": described})
        kept = [*others("training_shapes", rows, SETTING), *rows]
        tell("training_shapes", {"rows": kept}, not chosen.no_save)


if __name__ == "__main__":
    main()
