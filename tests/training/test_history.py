"""The summary of training: its beginning and end, each over several steps."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lidr.cli import main
from lidr.training import stage
from lidr.training.history import History, csv, ends, reported

# 22 steps, logged every 5 and at each evaluation of held-out pairs; the last row covers two steps.
ROWS: History = [
    (0, {"eval_loss": 3.0}),
    (5, {"loss": 4.0, "reward_accuracy": 0.5}),
    (10, {"loss": 3.0, "reward_accuracy": 0.6}),
    (11, {"loss": 9.0, "reward_accuracy": 0.0, "eval_loss": 2.5, "eval_reward_accuracy": 0.7}),
    (15, {"loss": 3.0, "reward_accuracy": 0.8}),
    (20, {"loss": 2.0, "reward_accuracy": 0.75}),
    (22, {"loss": 5.5, "reward_accuracy": 0.4, "eval_loss": 2.0, "eval_reward_accuracy": 0.8}),
]


def test_ends_are_means_over_the_steps_of_a_quarter_and_the_first_and_last_evaluation() -> None:
    first, last = ends(ROWS)
    assert first == {"loss": 4.0, "reward_accuracy": 0.5, "eval_loss": 3.0}
    assert last == {"loss": 3.0, "reward_accuracy": 0.65, "eval_loss": 2.0, "eval_reward_accuracy": 0.8}


def test_one_row_is_both_ends() -> None:
    assert ends([(1, {"loss": 4.0})]) == ({"loss": 4.0}, {"loss": 4.0})


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("entries", "figures"),
    [
        (2, "loss 4.85 -> 4.80, reward accuracy 0.50 -> 0.79"),
        (1, "loss 4.80, reward accuracy 0.79 (one entry: train.dpo.logging_steps is 20)"),
    ],
)
def test_a_loss_that_was_logged_once_went_nowhere(monkeypatch: pytest.MonkeyPatch, entries: int, figures: str) -> None:
    first, last = {"loss": 4.85, "reward_accuracy": 0.5}, {"loss": 4.8, "reward_accuracy": 0.79}
    trained = stage.Trained(80, 0, [], 10, first, last, "packed", entries)
    monkeypatch.setattr(stage, "run", lambda *_: trained)
    said = CliRunner().invoke(main, ["train", "m1"]).output
    assert said == f"train m1: 80 pairs, 10 steps; {figures}; none held out; 0 pairs too long\n"


def test_up_to_the_first_update_only_the_held_out_loss_is_told() -> None:
    logs = {"eval_loss": 3.0, "eval_rewards/margins": 1e-9, "eval_rewards/accuracies": 0.38}
    assert reported(logs, 0, first=1, last=22) == {"eval_loss": 3.0}
    assert reported(logs, 2, first=1, last=22)["eval_reward_accuracy"] == 0.38
    assert reported({"loss": 4.0}, 1, first=1, last=22) == {}
    assert reported({"loss": 4.0}, 1, first=1, last=1) == {"loss": 4.0}, "of a single step there is nothing else"
    assert reported({"train_runtime": 3.0}, 22, first=1, last=22) == {}


def test_a_column_is_there_where_any_row_has_it() -> None:
    assert csv(ROWS[:2]) == "step,loss,reward_accuracy,eval_loss\n0,,,3.0\n5,4.0,0.5,\n"
