"""A non-finite loss, gradient or weight ends training at its step, and nothing is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lidr import paths
from lidr.cli import main
from lidr.errors import LidrError
from lidr.training import stage as train

pytestmark = pytest.mark.pipeline

ADVICE = "training diverged and nothing is saved; try a lower train.dpo.learning_rate, or train.dtype: float32"


def steps_until(settings: Any, message: str) -> list[int]:
    """The steps that were logged before training ended with the message."""
    steps: list[int] = []
    with pytest.raises(LidrError) as error:
        train.run(settings, "m1", lambda metrics, step: steps.append(step) if "loss" in metrics else None)
    assert str(error.value) == f"{message}: {ADVICE}"
    return steps


def old_adapter() -> Path:
    file = paths.model("m1") / "adapter_model.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"old")
    return file


def broken_at(step: int, monkeypatch: pytest.MonkeyPatch, break_: Any) -> None:
    """Apply `break_` to the loss of that step."""
    from lidr.training.trainer import PreferenceTrainer

    original = PreferenceTrainer._with_likelihood

    def loss(self: Any, *arguments: Any) -> Any:
        found = original(self, *arguments)
        return break_(found) if self.model.training and self.state.global_step + 1 == step else found

    monkeypatch.setattr(PreferenceTrainer, "_with_likelihood", loss)


def test_loss_that_is_no_number_ends_training_at_its_step(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old = old_adapter()
    configure()
    broken_at(4, monkeypatch, lambda loss: loss * float("nan"))
    result = CliRunner().invoke(main, ["train", "m1"])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == f"Error: the loss is nan at step 4 of 10: {ADVICE}"
    assert old.read_bytes() == b"old"


def test_gradient_that_overflows_is_not_clipped_to_0(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def steep(loss: Any) -> Any:
        # The same value; its gradients are finite, but their norm is not.
        return loss.detach() + (loss - loss.detach()) * 1e30

    broken_at(4, monkeypatch, steep)
    assert steps_until(configure(), "the gradient's norm is inf at step 4 of 10") == [3]


def test_trained_weight_that_overflows_ends_training_at_its_step() -> None:
    import torch
    from transformers import TrainerState

    from lidr.training.callbacks import FiniteCallback

    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)).requires_grad_(False)
    model[0].weight[0, 0] = float("inf")  # frozen, so not trained
    model[1].requires_grad_(True)
    state = TrainerState(global_step=6, max_steps=10)
    FiniteCallback().on_optimizer_step(None, state, None, model=model)
    model[1].weight.data[2, 1] = float("inf")
    with pytest.raises(LidrError, match="a weight is inf at step 7 of 10: training diverged"):
        FiniteCallback().on_optimizer_step(None, state, None, model=model)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (0, "the held-out loss is nan before training: the model that it begins with overflows"),
        (3, "the held-out loss is nan at step 3 of 10: training diverged"),
    ],
)
def test_held_out_loss_that_is_no_number_ends_training(
    configure: Any, monkeypatch: pytest.MonkeyPatch, step: int, message: str
) -> None:
    from lidr.training.trainer import PreferenceTrainer

    original = PreferenceTrainer._with_likelihood

    def loss(self: Any, *arguments: Any) -> Any:
        found = original(self, *arguments)
        return found if self.model.training or self.state.global_step < step else found * float("nan")

    monkeypatch.setattr(PreferenceTrainer, "_with_likelihood", loss)
    with pytest.raises(LidrError, match=message):
        train.run(configure(), "m1")
