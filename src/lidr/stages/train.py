"""Stage `train`: one iteration of DPO with a likelihood term, on LoRA weights, with TRL's DPOTrainer and PEFT.

    $ lidr train m1
    train m1: 2,214 pairs, 70 steps; reward accuracy 0.50 -> 0.93, loss 1.52 -> 0.61

The loss of a pair (the paper, section 2.3; y_w chosen, y_l rejected, pi the policy, ref the model before):

    -log sigmoid(beta * [log pi(y_w|x)/ref(y_w|x) - log pi(y_l|x)/ref(y_l|x)]) - alpha * log pi(y_w|x) / |y_w|

The first iteration puts a new adapter on the base. A later one goes on training the adapter before it, against a frozen
copy of that adapter as the reference, so that M_t is always the base plus the one folder models/m<t>:

    models/m1/adapter_model.safetensors  adapter_config.json  lidr.json  metrics.json  log.csv  drops.jsonl

With `train.accelerate` the same runs in several processes (lidr/training/launcher.py), of which the first one writes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lidr import config, paths, policy
from lidr.chat import Chat, open_chat
from lidr.errors import InputError
from lidr.jsonl import atomic_folder, read_by_key, read_json, write_json, write_rows, write_text
from lidr.policy import AdapterRecord, Policy
from lidr.records import Drop, DropReason, Pair
from lidr.training.packing import TokenizedPair

if TYPE_CHECKING:
    import torch

STAGE = "train"

LogMetrics = Callable[[dict[str, float], int], None]
History = list[tuple[int, dict[str, float]]]


@dataclass(frozen=True)
class Trained:
    """What training did: the number of pairs, the pairs left out, and the metrics of the first and last log."""

    pairs: int
    drops: list[Drop]
    steps: int
    first: dict[str, float]
    last: dict[str, float]


def run(settings: config.Settings, iteration: str, log: LogMetrics = lambda metrics, step: None) -> Trained:
    """Train the iteration's adapter and save it to models/<iteration>; `log` gets the metrics by step, live.

    Raises InputError where no pair fits `train.max_tokens`, the model cannot share prompts and is told to, or a step's
    pairs cannot be shared out evenly among processes.
    """
    from lidr.training import launcher

    wanted = settings.train_for(iteration).accelerate
    with _scratch(paths.scratch(STAGE, iteration)) as scratch:
        if wanted is None:
            return compute(settings, iteration, scratch, log)
        done = launcher.launch(__spec__.name, iteration, Path(wanted), scratch, log)
    return msgspec.json.decode(done, type=Trained)


def compute(settings: config.Settings, iteration: str, scratch: Path, log: LogMetrics) -> Trained:
    """What `run` does in one process, or in each of several that share the folder `scratch`."""
    from lidr.training import launcher, throughput
    from lidr.training.trainer import make

    train = settings.train_for(iteration)
    reference = policy.resolve(settings.iteration(iteration).previous)
    pairs_file = paths.pairs(iteration) / paths.PAIRS
    pairs = list(read_by_key(pairs_file, Pair).values())
    chat = open_chat(reference)
    model = _trainable_model(reference, train)
    rows, drops = tokenize(pairs, chat, train.max_tokens)

    if not rows:
        raise InputError("no pair is left to train on; `lidr audit` says why they were dropped", pairs_file)
    history: History = []

    def keep(metrics: dict[str, float], step: int) -> None:
        history.append((step, metrics))
        log(metrics, step)

    trainer = make(model, chat.tokenizer, rows, train, settings, scratch, keep)
    trainer.add_callback(throughput.callback(rows, log))
    trainer.train()
    weights = trainer.adapter_weights()
    record = AdapterRecord(
        model=iteration,
        previous=reference.name,
        base=policy.resolve(paths.BASE).fingerprint,
        reference=reference.fingerprint,
        pairs=policy.file_hash(pairs_file),
        rows=len(rows),
    )
    if launcher.is_first():
        _save(trainer.model, weights, paths.model(iteration), record, drops, history)
    return Trained(len(rows), drops, trainer.state.global_step, history[0][1], history[-1][1])


def tokenize(pairs: list[Pair], chat: Chat, max_tokens: int) -> tuple[list[TokenizedPair], list[Drop]]:
    """Token ids of prompt, chosen and rejected, as generation sees and ends them; pairs too long are dropped."""
    rows: list[TokenizedPair] = []
    drops: list[Drop] = []
    for pair in pairs:
        prompt = [{"role": m.role, "content": m.content} for m in pair.prompt]
        chosen, rejected = (chat.answer_ids(prompt, side[-1].content) for side in (pair.chosen, pair.rejected))
        row = TokenizedPair(prompt_ids=chat.prompt_ids(prompt), chosen_ids=chosen, rejected_ids=rejected)
        longest = len(row["prompt_ids"]) + max(len(chosen), len(rejected))
        if longest <= max_tokens:
            rows.append(row)
        else:
            drops.append(
                Drop(
                    prompt_id=pair.prompt_id,
                    lang=pair.lang,
                    other_lang=pair.other_lang,
                    stage=STAGE,
                    reason=DropReason.TOO_LONG,
                    detail=f"{longest} tokens, train.max_tokens is {max_tokens}",
                )
            )
    return rows, drops


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for the temporary files of libraries, emptied of what a run that was killed has left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # `datasets` asks the environment, other libraries Python.
    python, system = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder.resolve())
    try:
        yield folder
    finally:
        tempfile.tempdir = python
        os.environ.pop("TMPDIR")
        if system is not None:
            os.environ["TMPDIR"] = system
        shutil.rmtree(folder, ignore_errors=True)


def _trainable_model(reference: Policy, train: config.Train) -> Any:
    import torch

    model = policy.load_base(reference, getattr(torch, train.dtype))
    if reference.adapter is None:
        return model
    from peft import PeftModel

    return PeftModel.from_pretrained(model, reference.adapter, is_trainable=True)


def _save(
    model: Any,
    weights: dict[str, torch.Tensor] | None,
    target: Path,
    record: AdapterRecord,
    drops: list[Drop],
    history: History,
) -> None:
    with atomic_folder(target) as folder:
        model.save_pretrained(folder, selected_adapters=["default"], state_dict=weights)
        (folder / "README.md").unlink(missing_ok=True)
        _normalise_adapter_config(folder / "adapter_config.json")
        write_json(folder / paths.RECORD, record)
        write_rows(folder / paths.DROPS, drops)
        lines = [
            {"step": step} | {name: round(value, 6) for name, value in metrics.items()} for step, metrics in history
        ]
        write_json(folder / "metrics.json", lines[-1])
        write_text(folder / "log.csv", _csv(lines))


def _csv(lines: list[dict[str, float]]) -> str:
    columns = list(lines[0])
    rows = [",".join(str(line.get(column, "")) for column in columns) for line in lines]
    return "\n".join([",".join(columns), *rows]) + "\n"


def _normalise_adapter_config(path: Path) -> None:
    """Sets are written in a random order, and the base under the path that it was loaded from: fix both."""
    values = read_json(path)
    assert isinstance(values, dict)
    values["target_modules"] = sorted(values["target_modules"])
    values["base_model_name_or_path"] = paths.model(paths.BASE).as_posix()
    write_json(path, dict(sorted(values.items())))


def main(iteration: str, folder: Path) -> None:
    """One of the processes that `accelerate launch` starts."""
    from lidr.training import launcher

    folder.mkdir(parents=True, exist_ok=True)
    log = launcher.logger(folder) if launcher.is_first() else lambda metrics, step: None
    with launcher.told(folder):
        trained = compute(config.load(), iteration, folder, log)
    if launcher.is_first():
        launcher.finish(folder, trained)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
