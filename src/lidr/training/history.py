"""What training logged, from the trainer's state: models/m1/log.csv and metrics.json.

    step,loss,reward_margin,...,eval_loss,eval_reward_margin,eval_reward_accuracy
    1,9.2034,0.0,...,,,
    66,8.1,0.52,...,8.4,0.47,0.91

A row is a step. The `eval_` columns are those of the held-out pairs, empty at a step without an evaluation.
"""

from __future__ import annotations

from typing import Any

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

History = list[tuple[int, dict[str, float]]]


def named(logs: dict[str, Any]) -> dict[str, float]:
    """A log of the trainer under our names; empty where it is neither a step's nor an evaluation's."""
    if not {"loss", "eval_loss"} & logs.keys():
        return {}
    # In one order: that of the logs is another where a training goes on.
    return {name: float(logs[key]) for key, name in METRIC_NAMES.items() if key in logs}


def first_update(args: Any, steps: int) -> int:
    """The first step that changes a weight: a warm-up begins with one whose learning rate is zero."""
    warms_up = args.lr_scheduler_type != "constant" and args.get_warmup_steps(steps) > 0
    return 2 if warms_up else 1


def told(step: int, first: int, last: int) -> bool:
    """Whether a step's figures say anything.

    A step's figures are computed before it updates the weights. Until then the policy is the reference: margins are
    zero, and how many of them are above zero is rounding.
    """
    return step > first or step == last


def history(args: Any, state: Any) -> History:
    """Step and metrics of each logged step after the first update, from `TrainerState.log_history`."""
    first = first_update(args, state.max_steps)
    rows: dict[int, dict[str, float]] = {}
    for logs in state.log_history:
        if (metrics := named(logs)) and told(logs["step"], first, state.max_steps):
            rows.setdefault(logs["step"], {}).update(metrics)
    return sorted(rows.items())


def rounded(rows: History) -> list[dict[str, float]]:
    """The rows as they are written."""
    return [{"step": step} | {name: round(value, 6) for name, value in metrics.items()} for step, metrics in rows]


def csv(lines: list[dict[str, float]]) -> str:
    """One line a row, with all columns that any row has."""
    columns = [name for name in ("step", *METRIC_NAMES.values()) if any(name in line for line in lines)]
    rows = [",".join(str(line.get(column, "")) for column in columns) for line in lines]
    return "\n".join([",".join(columns), *rows]) + "\n"
