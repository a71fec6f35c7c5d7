"""DPO with a likelihood term, pairs a second: ours against TRL's DPOTrainer and against LLaMA-Factory.

    $ python benchmarks/training.py
    | set   | peer          | pairs | ours, pairs/s | peer, pairs/s | times | ...
    | lab   | TRL           | 480   | ...
    | lab   | LLaMA-Factory | 480   | ...
    | mixed | TRL           | 400   | ...
    | mixed | LLaMA-Factory | 400   | ...

Both train the same LoRA adapter on the lab's base, in float32, on the same token ids in the same order, with the same
optimizer, schedule and seed, in steps of 8 pairs; both log each step. `lab` are pairs of the lab's tasks, `mixed` pairs
of 10 to 1,000 tokens. Time is from the texts to the trained adapter (tokens, reference log-probabilities, steps);
imports and the loading of the model are not in it. The losses of the first 50 steps must be the same within 1e-3 of
their size, or the benchmark fails.

TRL is the release that lidr itself builds on, used as its documentation shows it. Its likelihood term is a mean over
all tokens of a step, so ours is set to that as well (`likelihood_mean: token`). LLaMA-Factory's (`pref_ftx`) is the
paper's, a mean over each answer, and so is ours beside it (`sequence`). Where a peer's defaults would slow it down for
nothing here (gradient checkpointing), they are off.

LLaMA-Factory asks for older libraries than lidr: the first run makes an environment for it, in .lidr/bench. Its side is
`llama_factory.py`. `--peers trl` leaves it out.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import venv
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
from made import ITERATION, LONGEST, lab_pairs, mixed_pairs
from measuring import CACHE, PARAMS, ROOT, cost, costs, in_new_process, machine, options, rates, take_turns
from tables import PEERS, tell

from lidr import config, paths
from lidr.chat import open_chat
from lidr.models import base, policy
from lidr.models.targets import ALL_LINEAR
from lidr.records import Pair
from lidr.records.jsonl import read_rows, write_rows
from lidr.training import stage as train

SIZES = {"lab": 480, "mixed": 400}
LIKELIHOOD_MEAN = {"trl": "token", "llama_factory": "sequence"}
LLAMA_FACTORY = ("llamafactory==0.9.5", f"torch=={version('torch').partition('+')[0]}")
# Keys of `train.dpo` that TRL's trainer is given otherwise, and those that LLaMA-Factory has under the same name.
UNUSED = ("eval_steps", "save_steps")
SAME_NAMES = ("learning_rate", "lr_scheduler_type", "num_train_epochs", "per_device_train_batch_size")
SAME_NAMES += ("max_grad_norm", "weight_decay")
STEPS = 50  # whose losses are compared
TOLERANCE = 1e-3


def settings(peer: str) -> config.Settings:
    """The lab's profile, on a CPU, with the peer's likelihood term and room for the longest pair."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["engine"]["device"] = "cpu"
    values["train"] |= {"likelihood_mean": LIKELIHOOD_MEAN[peer], "pairs_per_step": 8}
    values["train"]["dpo"] |= {"logging_steps": 1, "max_length": LONGEST + 24, "num_train_epochs": 1}
    values["train"]["dpo"] |= {"per_device_train_batch_size": 8}
    return msgspec.convert(values, config.Settings)


def write_set(name: str, count: int, peer: str) -> None:
    """Write the base and a set of pairs to the working folder, for LLaMA-Factory in its own form as well."""
    given = settings(peer)
    base.run(given)
    tokenizer = policy.load_tokenizer(policy.resolve("m0"))
    pairs = lab_pairs(given, count) if name == "lab" else mixed_pairs(count, tokenizer)
    write_rows(_pairs_file(), pairs)
    if peer == "llama_factory":
        _write_for_llama_factory([_texts(pair, tokenizer) for pair in pairs], given)


def work(side: str, peer: str) -> dict[str, Any]:
    """Train on the set in the working folder; returns the cost and the loss of each step."""
    import torch

    given, reference = settings(peer), policy.resolve("m0")
    pairs = list(read_rows(_pairs_file(), Pair))
    tokenizer = policy.load_tokenizer(reference)
    model = policy.load_base(reference, torch.float32)
    make = _ours if side == "ours" else _trl
    import lidr.training.trainer  # noqa: F401 (so that no import is timed)

    torch.manual_seed(given.seed)
    with tempfile.TemporaryDirectory() as scratch, cost() as spent:
        trainer, rows = make(model, tokenizer, pairs, given, Path(scratch))
        trainer.train()
    tokens = sum(len(row[part]) for row in rows for part in ("prompt_ids", "chosen_ids", "rejected_ids"))
    return {"pairs": len(pairs), "tokens": tokens, "losses": losses_of(trainer)} | spent


def losses_of(trainer: Any) -> list[float]:
    """The loss of each step."""
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _ours(model: Any, tokenizer: Any, pairs: list[Pair], given: config.Settings, scratch: Path) -> tuple[Any, Any]:
    """Trainer and rows of token ids."""
    from lidr.training.arguments import arguments
    from lidr.training.trainer import make

    rows, drops = train.tokenize(pairs, open_chat(policy.resolve("m0")), given.train.dpo["max_length"])
    assert not drops, drops[0].detail
    args = arguments(given.train, given, scratch)
    return make(model, tokenizer, rows, given.train, args, scratch, lambda metrics, _: None), rows


def _trl(model: Any, tokenizer: Any, pairs: list[Pair], given: config.Settings, scratch: Path) -> tuple[Any, Any]:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import DPOTrainer

    trainer = DPOTrainer(
        model=model,
        args=trl_arguments(given, scratch),
        # Prompts as the chat template renders them, with plain answers: these end at the end of the turn.
        train_dataset=Dataset.from_list([_texts(pair, tokenizer) for pair in pairs]),
        processing_class=tokenizer,
        peft_config=LoraConfig(**given.train.lora, task_type="CAUSAL_LM"),
    )
    return trainer, trainer.train_dataset


def trl_arguments(given: config.Settings, scratch: Path) -> Any:
    """TRL's arguments for the settings' training, with its own likelihood term."""
    from trl import DPOConfig

    values, on_cpu = given.train, given.engine.device == "cpu"
    return DPOConfig(
        output_dir=str(scratch),
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, values.alpha],
        **{key: value for key, value in values.dpo.items() if key not in ("loss_type", "loss_weights", *UNUSED)},
        gradient_accumulation_steps=values.pairs_per_step // values.dpo["per_device_train_batch_size"],
        bf16=not on_cpu,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=given.seed,
        data_seed=given.seed,
    )


def _texts(pair: Pair, tokenizer: Any) -> dict[str, str]:
    prompt = [{"role": m.role, "content": m.content} for m in pair.prompt]
    rendered = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    return {"prompt": rendered, "chosen": pair.chosen[-1].content, "rejected": pair.rejected[-1].content}


def measure(name: str, count: int, peer: str, repetitions: int) -> dict[str, Any]:
    """Both sides in turn on one set; raises SystemExit where they do not do the same work."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        in_new_process(write_set, name, count, peer, here=here)
        sides = {side: partial(in_new_process, work, side, peer, here=here) for side in ("ours", peer)}
        if peer == "llama_factory":
            sides[peer] = partial(_run_llama_factory, llama_factory(), here)
        runs = take_turns(sides, repetitions)
    return {"set": name, "peer": peer, **compared(runs["ours"], runs[peer])}


def compared(ours: list[dict[str, Any]], peer: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and pairs a second of each side, and by how much the losses of their first steps differ, at most."""
    mine, theirs = ours[0], peer[0]
    if (mine["pairs"], mine["tokens"]) != (theirs["pairs"], theirs["tokens"]):
        raise SystemExit(f"not the same work: {mine['tokens']} tokens here, {theirs['tokens']} at the peer")
    runs = {"ours": ours, "peer": peer}
    return {
        "pairs": mine["pairs"],
        "tokens": mine["tokens"],
        "steps_compared": min(STEPS, len(mine["losses"])),
        "loss_difference": loss_difference(mine["losses"], theirs["losses"], TOLERANCE),
        **costs(runs),
        "pairs_per_second": rates(runs, "pairs", 3),
    }


def loss_difference(ours: Sequence[float], peer: Sequence[float], tolerance: float) -> float:
    """By how much of their size the first losses differ, at most; SystemExit where it is more than the tolerance."""
    difference = max(abs(a - b) / abs(b) for a, b in list(zip(ours, peer, strict=True))[:STEPS])
    if difference > tolerance:
        raise SystemExit(f"not the same training: losses differ by {difference:.2g} of their size")
    return difference


def _pairs_file() -> Path:
    return paths.pairs(ITERATION) / paths.PAIRS


def llama_factory() -> str:
    """The Python of LLaMA-Factory's environment, which the first call makes."""
    python = CACHE / "llama-factory" / "bin" / "python"
    wanted, made = " ".join(LLAMA_FACTORY), CACHE / "llama-factory" / "made-of"
    if not made.is_file() or made.read_text("utf-8") != wanted:
        print(f"making an environment of {wanted}, once ...", flush=True)
        venv.create(CACHE / "llama-factory", clear=True, with_pip=True)
        pip = [python, "-m", "pip", "--quiet"]
        subprocess.run([*pip, "install", *LLAMA_FACTORY], check=True)
        if "+cpu" in version("torch"):  # these fit the CUDA build alone, and fail where they are imported
            subprocess.run([*pip, "uninstall", "--yes", "torchvision", "torchaudio"], check=True)
        made.write_text(wanted, "utf-8")
    return str(python)


def _run_llama_factory(python: str, here: Path) -> dict[str, Any]:
    """Its side, in its own environment; the last line of the script's output is the JSON that it found."""
    command = [python, str(ROOT / "benchmarks" / "llama_factory.py"), str(here)]
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _write_for_llama_factory(rows: list[dict[str, str]], given: config.Settings) -> None:
    """The pairs with their description, and the arguments of `llamafactory-cli train`."""
    values, data = given.train, Path("data")
    dpo, lora, modules = values.dpo, values.lora, values.lora["target_modules"]
    columns = {name: name for name in ("prompt", "chosen", "rejected")}
    about = {"pairs": {"file_name": "pairs.json", "ranking": True, "columns": columns}}
    arguments = {
        "stage": "dpo",
        "do_train": True,
        "model_name_or_path": str(paths.model("m0")),
        "finetuning_type": "lora",
        "lora_rank": lora["r"],
        "lora_alpha": lora["lora_alpha"],
        "lora_dropout": lora["lora_dropout"],
        "lora_target": "all" if modules == ALL_LINEAR else ",".join(modules),
        "pref_loss": "sigmoid",
        "pref_beta": dpo["beta"],
        "pref_ftx": values.alpha,
        "dataset": "pairs",
        "dataset_dir": str(data),
        "template": "rendered",
        "cutoff_len": dpo["max_length"],
        "warmup_ratio": dpo["warmup_steps"],
        **{key: dpo[key] for key in SAME_NAMES},
        "disable_gradient_checkpointing": True,
        "flash_attn": "sdpa",
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": given.seed,
        "data_seed": given.seed,
        "output_dir": "llama-factory",
    }
    for path, content in (
        (data / "pairs.json", rows),
        (data / "dataset_info.json", about),
        (Path("arguments.json"), arguments),
    ):
        path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")


def main() -> None:
    parser = options(__doc__, repetitions=3)
    parser.add_argument("--sets", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--pairs", type=int, help="Pairs of each set, instead of 480 and 400.")
    chosen = parser.parse_args()
    report: dict[str, Any] = {"machine": machine("torch", "transformers", "trl", "peft", "accelerate"), "rows": []}
    for name, peer in product(chosen.sets, chosen.peers):
        report["rows"].append(measure(name, chosen.pairs or SIZES[name], peer, chosen.repetitions))
        tell("training", report, not chosen.no_save)


if __name__ == "__main__":
    main()
