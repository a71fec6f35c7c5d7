"""Rates and memory of training, without a model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from lidr.training import callbacks
from lidr.training.callbacks import ThroughputCallback
from lidr.training.packing import TokenizedPair

ROWS: list[TokenizedPair] = [
    {"prompt_ids": [1, 2, 3], "chosen_ids": [4, 5], "rejected_ids": [6]},
    {"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3, 4, 5, 6]},
]  # 2 pairs, 9 + 7 tokens


def test_rates_are_those_since_the_last_loss_was_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 12.0, 16.0, 16.0])  # the start, and each log
    monkeypatch.setattr(callbacks, "peak_memory", lambda: {"peak_memory_mib": 5.0})
    logged: list[tuple[dict[str, float], int]] = []
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    callback = ThroughputCallback(ROWS, lambda values, step: logged.append((values, step)))

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
