"""What training logged, from the trainer's state: models/m1/log.csv and metrics.json.

    step,loss,reward_margin,...,eval_loss,eval_reward_margin,eval_reward_accuracy
    0,,,...,9.3,,
    20,9.2034,0.1,...,,,
    66,8.1,0.52,...,8.4,0.47,0.91

A row's figures are means over the steps since the row before. The `eval_` columns are those of the held-out pairs,
empty at a step without an evaluation; step 0 is before training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from lidr.records.rounding import rounded

# TRL's names on the left; the names that MLflow, metrics.json and log.csv carry on the right.
METRIC_NAMES = {
    "loss": "loss",
    "loss/preference": "loss_preference",
    "loss/likelihood": "loss_likelihood",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
    "logps/chosen": "log_probability_chosen",
    "logps/rejected": "log_probability_rejected",
    "entropy": "entropy",
    "learning_rate": "learning_rate",
    "grad_norm": "gradient_norm",
    "eval_loss": "eval_loss",
    "eval_rewards/margins": "eval_reward_margin",
    "eval_rewards/accuracies": "eval_reward_accuracy",
}

# Rows of a step and its metrics; and a function that logs metrics at a step.
History = list[tuple[int, dict[str, float]]]
LogMetrics = Callable[[dict[str, float], int], None]


def first_update(args: Any, steps: int) -> int:
    """The first step that changes a weight: a warm-up begins with one whose learning rate is zero."""
    warms_up = args.lr_scheduler_type != "constant" and args.get_warmup_steps(steps) > 0
    return 2 if warms_up else 1


def reported(logs: dict[str, Any], step: int, first: int, last: int) -> dict[str, float]:
    """What is reported of a log, under our names: nothing where it is neither a step's nor an evaluation's.

    A step's figures are computed before it updates the weights. Up to the first update the policy is the reference:
    margins are zero, and how many of them are above zero is rounding. The held-out loss is reported all the same.
    """
    if not {"loss", "eval_loss"} & logs.keys():
        return {}
    # In a fixed order: a resumed run's logs have another.
    metrics = {name: float(logs[key]) for key, name in METRIC_NAMES.items() if key in logs}
    if step > first or step == last:
        return metrics
    return {name: value for name, value in metrics.items() if name == "eval_loss"}


def history(args: Any, state: Any) -> History:
    """Step and metrics of each step that has any to report, from `TrainerState.log_history`."""
    first = first_update(args, state.max_steps)
    rows: dict[int, dict[str, float]] = {}
    for logs in state.log_history:
        if metrics := reported(logs, logs["step"], first, state.max_steps):
            rows.setdefault(logs["step"], {}).update(metrics)
    return sorted(rows.items())


def ends(rows: History) -> tuple[dict[str, float], dict[str, float]]:
    """The beginning and the end of training: means over the first and the last quarter of its steps.

    One row is too few to tell them apart: it may hold a step or two. Evaluations are the first one and the last.
    """
    steps = rows[-1][0]
    started: History = [(0, {}), *rows]
    counted = [(step, step - before, metrics) for (before, _), (step, metrics) in pairwise(started)]
    training = [row for row in counted if "loss" in row[2]]
    early = [row for row in training if row[0] <= steps / 4] or training[:1]
    late = [row for row in training if row[0] > 3 * steps / 4]
    evaluations = [
        {name: value for name, value in metrics.items() if name.startswith("eval_")}
        for _, metrics in rows
        if "eval_loss" in metrics
    ] or [{}]
    return _means(early) | evaluations[0], _means(late) | evaluations[-1]


def _means(rows: Sequence[tuple[int, int, dict[str, float]]]) -> dict[str, float]:
    """Means of the rows' figures, each row counting by its steps."""
    steps = sum(count for _, count, _ in rows)
    names = [name for name in rows[0][2] if not name.startswith("eval_")]
    return {name: sum(count * metrics[name] for _, count, metrics in rows) / steps for name in names}


def csv(rows: History) -> str:
    """One line a row, with all columns that any row has."""
    lines = [{"step": step} | rounded(metrics) for step, metrics in rows]
    columns = [name for name in ("step", *METRIC_NAMES.values()) if any(name in line for line in lines)]
    rows_of_text = [",".join(str(line.get(column, "")) for column in columns) for line in lines]
    return "\n".join([",".join(columns), *rows_of_text]) + "\n"
