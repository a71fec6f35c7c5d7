"""What happens between the steps of training: logs under our names, the progress, and when to save a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from lidr.progress import bar
from lidr.training.history import first_update, told

LogMetrics = Callable[[dict[str, float], int], None]


class LogCallback(TrainerCallback):
    """Passes each log on under our names and shows the progress; a training that goes on logs again what was logged.

    The last step is always logged, and so is each that evaluates: figures of both kinds belong to the same step.
    `history.told` says what of a log is passed on.
    """

    def __init__(self, log: LogMetrics) -> None:
        self._log = log

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar = bar("training", total=state.max_steps, unit="step") if state.is_world_process_zero else None
        self._advance = self._bar.__enter__() if self._bar else None
        if self._advance:
            self._advance(state.global_step)
        self._first = first_update(args, state.max_steps)
        for logs in state.log_history:
            self._pass_on(logs, logs["step"], state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._advance:
            self._advance(1)
        control.should_log |= control.should_evaluate or state.global_step in (self._first, state.max_steps)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar:
            self._bar.__exit__(None, None, None)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        self._pass_on(logs or {}, state.global_step, state.max_steps)

    def _pass_on(self, logs: dict[str, Any], step: int, last: int) -> None:
        if metrics := told(logs, step, self._first, last):
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
