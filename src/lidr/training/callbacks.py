"""What happens between the steps of training: logs under our names, the progress, checkpoints, checks and rates."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from transformers import TrainerCallback

from lidr.errors import LidrError
from lidr.progress import bar
from lidr.training.history import LogMetrics, first_update, reported
from lidr.training.packing import TokenizedPair, length

_MIB = 2**20


class LogCallback(TrainerCallback):
    """Passes each log on under our names and shows the progress; a resumed run logs again what was logged.

    The last step is always logged, and so is each that evaluates, so that both kinds of figures have the same steps.
    `history.reported` says what of a log is passed on.
    """

    def __init__(self, log: LogMetrics) -> None:
        self._log, self._bar = log, ExitStack()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._advance = lambda steps: None
        if state.is_world_process_zero:
            self._advance = self._bar.enter_context(bar("training", total=state.max_steps, unit="step"))
        self._advance(state.global_step)
        self._first = first_update(args, state.max_steps)
        for logs in state.log_history:
            self._pass_on(logs, logs["step"], state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._advance(1)
        control.should_log |= control.should_evaluate or state.global_step in (self._first, state.max_steps)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.close()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        self._pass_on(logs or {}, state.global_step, state.max_steps)

    def _pass_on(self, logs: dict[str, Any], step: int, last: int) -> None:
        if metrics := reported(logs, step, self._first, last):
            self._log(metrics, step)


class SaveCallback(TrainerCallback):
    """Saves a checkpoint at the first logged step that is `every` steps or more after the one before; not the last."""

    def __init__(self, every: int) -> None:
        self._every = every

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved = state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        due = state.global_step - self._saved >= self._every
        if due and control.should_log and state.global_step < state.max_steps:
            control.should_save, self._saved = True, state.global_step


class FiniteCallback(TrainerCallback):
    """Ends training after a step that made a trained weight infinite or NaN."""

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        weights = [weight.detach() for weight in model.parameters() if weight.requires_grad]
        check_finite("a weight", torch.nn.utils.get_total_norm(weights), state.global_step + 1, state.max_steps)


def check_finite(what: str, value: Any, step: int, steps: int) -> None:
    """Raise LidrError where a tensor of one value is infinite or NaN; at step 0 training has not begun.

    It is this process's own value: each process of a launch looks at its own.
    """
    number = float(value.full_tensor() if hasattr(value, "full_tensor") else value)
    if math.isfinite(number):
        return
    if step:
        reason = f"at step {step} of {steps}: training diverged and nothing is saved; "
        reason += "try a lower train.dpo.learning_rate, or train.dtype: float32"
    else:
        reason = "before training: the model that it begins with overflows; try train.dtype: float32"
    raise LidrError(f"{what} is {number} {reason}")


class ThroughputCallback(TrainerCallback):
    """Throughput and memory of training, for MLflow and never for an output.

        {"pairs_per_second": 41.2, "tokens_per_second": 9120.5, "peak_memory_mib": 812.4}

    They go to `log` at each step that logs its loss, and cover the steps since the previous log. A pair's tokens
    are those of its rows, each with the prompt; memory is the process's highest so far, and on a GPU also the highest
    that torch has had allocated there.
    """

    def __init__(self, rows: Sequence[TokenizedPair], log: LogMetrics) -> None:
        self._pairs, self._tokens, self._log = len(rows), sum(map(length, rows)), log

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # A resumed run starts after some passes over the data.
        self._passes, self._time = float(state.epoch or 0), time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        passes, now = state.epoch - self._passes, time.perf_counter()
        seconds, self._passes, self._time = now - self._time, state.epoch, now
        rates = {"pairs_per_second": passes * self._pairs, "tokens_per_second": passes * self._tokens}
        figures = {name: value / seconds for name, value in rates.items()} if seconds > 0 else {}
        self._log(figures | peak_memory(), state.global_step)


def peak_memory() -> dict[str, float]:
    """The most memory so far, in MiB: of this process, and of torch on a GPU."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB on Linux.
    figures = {"peak_memory_mib": peak / (_MIB if sys.platform == "darwin" else 1024)}
    if torch.cuda.is_available():
        figures["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() / _MIB
    return figures
