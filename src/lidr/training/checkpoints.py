"""Checkpoints: a killed run resumes from the newest one and gives the same bytes as an uninterrupted one.

    .lidr/scratch/train/m1/checkpoints/8c1f52d09ab3e644/checkpoint-100/
        adapter_model.safetensors  optimizer.pt  scheduler.pt  rng_state.pth  trainer_state.json  lidr.json

transformers' Trainer writes them and resumes from them. The folder's name is a hash of all that determines the adapter
(`key`), so only the same work reuses them. lidr.json, written last, has the files' fingerprint: a checkpoint with
another one is skipped. Loading runs no code: it reads safetensors, JSON, and tensors by torch.load with `weights_only`.

A checkpoint is made at the first logged step after `save_steps` steps: between two logs, Trainer holds sums that it
does not save.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from lidr import config, paths
from lidr.errors import InputError, one_line
from lidr.models import policy
from lidr.records.jsonl import read_json, write_json
from lidr.software import software
from lidr.training import launcher
from lidr.training.packing import TokenizedPair

FOLDER = "checkpoints"
KEPT = 2


def key(
    settings: config.Settings, train: config.Train, record: policy.AdapterRecord, rows: Iterable[TokenizedPair]
) -> str:
    """A hash of the work: settings, seed, device, processes, files by fingerprint, software, and the token ids."""
    device, processes = policy.pick_device(settings.engine.device), launcher.world_size()
    files = [record.base, record.reference, record.pairs]
    made_by = software("lidr.training", "lidr.chat", "lidr.models")
    digest = hashlib.sha256(msgspec.json.encode([train, settings.seed, device, processes, files, made_by]))
    for row in rows:
        digest.update(msgspec.json.encode(row) + b"\n")
    return digest.hexdigest()[:16]


def newest(folder: Path) -> Path | None:
    """The newest complete checkpoint, or None.

    The first process removes the checkpoints of other work, which lie beside this folder, and says on stderr which one
    is used or skipped.
    """
    is_first = launcher.is_first()
    for other in folder.parent.glob("*") if is_first else ():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for place in found:
        damage = _damage(place)
        if is_first:
            print(f"{place} is left out: {damage}" if damage else f"training goes on from {place}", file=sys.stderr)
        if not damage:
            return place
    if is_first and found:
        print("training begins at the start: no checkpoint is whole", file=sys.stderr)
    return None


def _damage(place: Path) -> str:
    """What is wrong with a checkpoint; empty if nothing is."""
    try:
        sealed = read_json(place / paths.RECORD)
    except InputError:
        return "writing it was interrupted"
    return "" if sealed == {"fingerprint": policy.fingerprint(place)} else "its files are not those that were written"


class CheckpointMixin:
    """Mixin before a transformers Trainer: seals each checkpoint, and does without one that cannot be written."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: nobody reads a checkpoint's card."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        trainer: Any = self
        place = Path(trainer.args.output_dir) / f"checkpoint-{trainer.state.global_step}"
        if trainer.args.should_save:
            shutil.rmtree(place, ignore_errors=True)  # a skipped one
        trainer.accelerator.wait_for_everyone()
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
            # PEFT's frozen copy of the reference: with it, Trainer would load this adapter and not the trained one.
            shutil.rmtree(place / "ref", ignore_errors=True)
            trainer.accelerator.wait_for_everyone()
            if trainer.args.should_save:
                write_json(place / paths.RECORD, {"fingerprint": policy.fingerprint(place)})
        except (OSError, RuntimeError) as error:
            # torch has no error class of its own for a file that could not be written.
            is_of_storage = isinstance(error, OSError) or "PytorchStreamWriter" in str(error)
            # Other processes would wait for this one.
            if trainer.args.world_size > 1 or not is_of_storage:
                raise
            shutil.rmtree(place, ignore_errors=True)
            print(f"no checkpoint at step {trainer.state.global_step}: {one_line(error)}", file=sys.stderr)
