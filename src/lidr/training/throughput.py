"""How fast training goes and what memory it takes: figures for MLflow, never for an output, as no two runs share them.

    trainer.add_callback(throughput.callback(rows, log))
    {"pairs_per_second": 41.2, "tokens_per_second": 9120.5, "peak_memory_mib": 812.4}

They are those of the steps since the last log. A pair's tokens are those of its two rows, each with the prompt;
memory is the process's highest so far, and on a GPU also the highest that torch has had allocated there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from lidr.training.packing import TokenizedPair, length

_MIB = 2**20


class Meter:
    """Rates of work that is told as a share of all pairs done so far; `clock` gives seconds."""

    def __init__(self, pairs: int, tokens: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._pairs, self._tokens, self._clock = pairs, tokens, clock
        self.start()

    def start(self, passes: float = 0.0) -> None:
        """Count from here, after so many passes: a training that goes on has some behind it."""
        self._passes, self._time = passes, self._clock()

    def read(self, passes: float) -> dict[str, float]:
        """Pairs and tokens a second since the last reading, after `passes` passes over all pairs; none at once."""
        done, now = passes - self._passes, self._clock()
        seconds, self._passes, self._time = now - self._time, passes, now
        if seconds <= 0:
            return {}
        return {
            "pairs_per_second": done * self._pairs / seconds,
            "tokens_per_second": done * self._tokens / seconds,
        }


def callback(rows: Sequence[TokenizedPair], log: Callable[[dict[str, float], int], None]) -> Any:
    """A callback for transformers' Trainer that passes the figures to `log` at each step that logs its loss."""
    from transformers import TrainerCallback

    meter = Meter(len(rows), sum(map(length, rows)))

    class ThroughputCallback(TrainerCallback):
        """Reads the meter whenever the trainer logs."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            meter.start(float(state.epoch or 0))

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if state.is_world_process_zero and "loss" in (logs or {}):
                log(meter.read(float(state.epoch)) | peak_memory(), state.global_step)

    return ThroughputCallback()


def peak_memory() -> dict[str, float]:
    """The most memory so far, in MiB: of this process, and of torch on a GPU."""
    import torch

    figures = {"peak_memory_mib": _peak_of_process()} if sys.platform != "win32" else {}
    if torch.cuda.is_available():
        figures["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() / _MIB
    return figures


def _peak_of_process() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # KiB on Linux, bytes on macOS.
    return peak / _MIB if sys.platform == "darwin" else peak / 1024
