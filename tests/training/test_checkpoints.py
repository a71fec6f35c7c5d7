"""A killed training ends with the same bytes as another; checkpoints are complete, and used for the same work only."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_training import configured

from lidr import paths
from lidr.training import checkpoints
from lidr.training import stage as train

pytestmark = pytest.mark.pipeline

KILLED = """
import os, signal, sys
from lidr import config
from lidr.training import stage as train
kill_at = int(sys.argv[1])
train.run(config.load(), "m1", lambda metrics, step: step == kill_at and os.kill(os.getpid(), signal.SIGKILL))
"""


class Killed(BaseException):
    """Ends training; no handler catches it."""


def run(settings: Any, iteration: str = "m1", kill_at: int | None = None) -> list[int]:
    """Train, and return the computed steps, without those that were only logged again."""
    steps: list[int] = []

    def log(metrics: dict[str, float], step: int) -> None:
        # Only computed steps log rates.
        steps.extend([step] if "pairs_per_second" in metrics else [])
        if step == kill_at and "loss" in metrics:
            raise Killed

    train.run(settings, iteration, log)
    return steps


def files(iteration: str = "m1") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(paths.model(iteration).iterdir())}


def left(iteration: str = "m1") -> list[str]:
    return sorted(path.name for path in paths.scratch("train", iteration).glob(f"{checkpoints.FOLDER}/*/*"))


@pytest.fixture(scope="module")
def uninterrupted(made: Path) -> dict[str, bytes]:
    """The outputs of an uninterrupted training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert run(configured()) == list(range(1, 11))
        assert not paths.scratch("train", "m1").exists(), "what is done needs no checkpoint"
        found = files()
        shutil.rmtree(paths.model("m1"))  # the other tests start without an adapter
        return found


def test_three_kills_at_random_steps_change_no_byte(
    configure: Any, uninterrupted: dict[str, bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    settings = configure()
    first, second, third = sorted(random.Random(3).sample(range(2, 11), 3))
    killed = subprocess.run([sys.executable, "-c", KILLED, str(first)])
    assert killed.returncode == -signal.SIGKILL
    for step in (second, third):
        with pytest.raises(Killed):
            run(settings, kill_at=step)
    last = max(int(name.rpartition("-")[2]) for name in left())
    assert len(left()) == checkpoints.KEPT
    capfd.readouterr()
    assert run(settings) == list(range(last + 1, 11))
    assert "training goes on from .lidr/scratch/train/m1/checkpoints/" in capfd.readouterr().err
    assert files() == uninterrupted
    assert not paths.scratch("train", "m1").exists()


def test_second_iteration_goes_on_from_its_own_weights_not_the_reference_s(configure: Any) -> None:
    whole = {"eval_share": 0.0, "pairs_per_step": 20, "per_device_train_batch_size": 10}
    run(configure(**whole))
    settings = configure(**whole, num_train_epochs=2, gradient_checkpointing=True)
    run(settings, "m2")
    expected = files("m2")
    with pytest.raises(Killed):
        run(settings, "m2", kill_at=5)
    assert run(settings, "m2") == [5, 6]
    assert files("m2") == expected


def test_checkpoints_of_other_work_and_torn_and_changed_ones_are_left_out(
    configure: Any, uninterrupted: dict[str, bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Killed):
        run(configure(learning_rate=1e-3), kill_at=3)
    assert left() == ["checkpoint-2"]
    settings = configure()
    with pytest.raises(Killed):
        run(settings, kill_at=8)
    assert left() == ["checkpoint-4", "checkpoint-6"]
    older, newer = sorted(paths.scratch("train", "m1").glob("checkpoints/*/*"))
    (newer / paths.RECORD).unlink()
    capfd.readouterr()
    with pytest.raises(Killed):
        run(settings, kill_at=5)
    said = capfd.readouterr().err
    assert f"{newer} is left out: writing it was interrupted\ntraining goes on from {older}\n" in said
    (older / "optimizer.pt").write_bytes((older / "optimizer.pt").read_bytes()[:-100])
    assert run(settings) == list(range(1, 11))
    said = capfd.readouterr().err
    assert f"{older} is left out: its files are not those that were written" in said
    assert "training begins at the start: no checkpoint is whole" in said
    assert files() == uninterrupted


def test_full_disk_costs_the_checkpoint_and_not_the_training(
    configure: Any,
    uninterrupted: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import torch

    def full(value: Any, path: Any, **_: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(torch, "save", full)
    assert run(configure(save_steps=5)) == list(range(1, 11))
    assert "no checkpoint at step 5: " in capfd.readouterr().err
    assert files() == uninterrupted, "how often it saves changes nothing either"


def test_logs_between_two_saves_are_whole(configure: Any) -> None:
    settings = configure(logging_steps=3, eval_share=0.0, save_steps=1, pairs_per_step=8, per_device_train_batch_size=8)
    run(settings)
    expected = (paths.model("m1") / "log.csv").read_bytes()
    assert [line.split(b",")[0] for line in expected.splitlines()] == [b"step", *b"3 6 8".split()]
    with pytest.raises(Killed):
        run(settings, kill_at=6)
    assert left() == ["checkpoint-2", "checkpoint-3"]
    run(settings)
    assert (paths.model("m1") / "log.csv").read_bytes() == expected
