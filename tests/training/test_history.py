"""What training logs: the summary of its beginning and end, and its rates."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from lidr.cli import main
from lidr.training import callbacks, stage
from lidr.training.history import History, csv, ends, reported
from lidr.training.packing import TokenizedPair

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


# 9 and 7 tokens.
PAIRS: list[TokenizedPair] = [
    {"prompt_ids": [1, 2, 3], "chosen_ids": [4, 5], "rejected_ids": [6]},
    {"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3, 4, 5, 6]},
]


def test_rates_are_those_since_the_last_loss_was_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 12.0, 16.0, 16.0])  # the start, and each log
    monkeypatch.setattr(callbacks, "peak_memory", lambda: {"peak_memory_mib": 5.0})
    logged: list[tuple[dict[str, float], int]] = []
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    callback = callbacks.ThroughputCallback(PAIRS, lambda values, step: logged.append((values, step)))

    def log(epoch: float, step: int, first: bool = True, **logs: float) -> None:
        state = SimpleNamespace(epoch=epoch, global_step=step, is_world_process_zero=first)
        callback.on_log(None, state, None, logs=logs)

    # It resumes after half a pass by another process.
    callback.on_train_begin(None, SimpleNamespace(epoch=0.5), None)
    log(1.0, 3, loss=1.0)
    log(1.0, 3, train_runtime=9.0)
    log(1.0, 3, first=False, loss=1.0)
    log(2.0, 6, loss=0.5)
    log(2.0, 7, loss=0.5)  # zero time elapsed
    assert logged == [
        ({"pairs_per_second": 0.5, "tokens_per_second": 4.0, "peak_memory_mib": 5.0}, 3),
        ({"pairs_per_second": 0.5, "tokens_per_second": 4.0, "peak_memory_mib": 5.0}, 6),
        ({"peak_memory_mib": 5.0}, 7),
    ]


def test_peak_memory_is_at_least_what_is_held() -> None:
    held = bytearray(64 * 2**20)
    assert len(held) / 2**20 <= callbacks.peak_memory()["peak_memory_mib"] < 2**20
