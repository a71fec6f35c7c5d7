"""How fast training goes and what memory it takes: figures for MLflow, never for an output, as no two runs share them.

    trainer.add_callback(ThroughputCallback(rows, log))
    {"pairs_per_second": 41.2, "tokens_per_second": 9120.5, "peak_memory_mib": 812.4}

They are those of the steps since the last log. A pair's tokens are those of its rows, each with the prompt; memory is
the process's highest so far, and on a GPU also the highest that torch has had allocated there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from lidr.training.packing import TokenizedPair, length

_MIB = 2**20


class ThroughputCallback(TrainerCallback):
    """Passes the figures to `log` at each step that logs its loss; `clock` gives seconds."""

    def __init__(
        self,
        rows: Sequence[TokenizedPair],
        log: Callable[[dict[str, float], int], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._pairs, self._tokens = len(rows), sum(map(length, rows))
        self._log, self._clock = log, clock

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # A training that goes on has some passes behind it.
        self._passes, self._time = float(state.epoch or 0), self._clock()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        passes, now = state.epoch - self._passes, self._clock()
        seconds, self._passes, self._time = now - self._time, state.epoch, now
        rates = {"pairs_per_second": passes * self._pairs, "tokens_per_second": passes * self._tokens}
        figures = {name: value / seconds for name, value in rates.items()} if seconds > 0 else {}
        self._log(figures | peak_memory(), state.global_step)


def peak_memory() -> dict[str, float]:
    """The most memory so far, in MiB: of this process, and of torch on a GPU."""
    figures = {"peak_memory_mib": _peak_of_process()} if sys.platform != "win32" else {}
    if torch.cuda.is_available():
        figures["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() / _MIB
    return figures


def _peak_of_process() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # KiB on Linux, bytes on macOS.
    return peak / _MIB if sys.platform == "darwin" else peak / 1024
