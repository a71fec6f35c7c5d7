"""Rates and memory of training, without a model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lidr.training import throughput
from lidr.training.packing import TokenizedPair
from lidr.training.throughput import Meter

ROWS: list[TokenizedPair] = [
    {"prompt_ids": [1, 2, 3], "chosen_ids": [4, 5], "rejected_ids": [6]},
    {"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3, 4, 5, 6]},
]  # 2 pairs, 9 + 7 tokens


def test_rates_are_those_since_the_last_reading() -> None:
    times = iter([100.0, 104.0, 105.0])
    meter = Meter(pairs=200, tokens=5000, clock=lambda: next(times))
    assert meter.read(0.5) == {"pairs_per_second": 25.0, "tokens_per_second": 625.0}
    assert meter.read(2.0) == {"pairs_per_second": 300.0, "tokens_per_second": 7500.0}


def test_no_rate_without_time() -> None:
    meter = Meter(pairs=2, tokens=10, clock=lambda: 7.0)
    assert meter.read(1.0) == {}


def test_callback_logs_with_the_loss_only(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 10.0, 12.0, 16.0])  # made, begun, first log, second log
    monkeypatch.setattr(throughput, "Meter", lambda pairs, tokens: Meter(pairs, tokens, lambda: next(times)))
    monkeypatch.setattr(throughput, "peak_memory", lambda: {"peak_memory_mib": 5.0})
    logged: list[tuple[dict[str, float], int]] = []
    callback = throughput.callback(ROWS, lambda values, step: logged.append((values, step)))
    state = SimpleNamespace(epoch=1.0, global_step=3, is_world_process_zero=True)
    # It goes on after half a pass, which was another process's work.
    callback.on_train_begin(None, SimpleNamespace(epoch=0.5), None)
    callback.on_log(None, state, None, logs={"loss": 1.0})
    callback.on_log(None, state, None, logs={"train_runtime": 9.0})
    callback.on_log(None, SimpleNamespace(**{**vars(state), "is_world_process_zero": False}), None, logs={"loss": 1.0})
    callback.on_log(None, SimpleNamespace(**{**vars(state), "epoch": 2.0, "global_step": 6}), None, logs={"loss": 0.5})
    assert logged == [
        ({"pairs_per_second": 0.5, "tokens_per_second": 4.0, "peak_memory_mib": 5.0}, 3),
        ({"pairs_per_second": 0.5, "tokens_per_second": 4.0, "peak_memory_mib": 5.0}, 6),
    ]


def test_peak_memory_is_at_least_what_is_held() -> None:
    held = bytearray(64 * 2**20)
    assert len(held) / 2**20 <= throughput.peak_memory()["peak_memory_mib"] < 2**20
