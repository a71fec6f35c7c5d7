"""Silent errors in benchmarks: ratios, and unequal work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import generation
import measuring
import pytest
import training
import training_shapes


def test_each_run_has_a_process_and_a_peak_of_its_own(tmp_path: Path) -> None:
    peaks = [measuring.in_new_process(peak_of, size, here=tmp_path) for size in (2**28, 1)]
    assert peaks[0] - peaks[1] > 2**27
    assert measuring.in_new_process(os.getcwd, here=tmp_path) == str(tmp_path)
    assert measuring.in_new_process(os.getenv, "LIDR_BENCH", here=tmp_path, LIDR_BENCH="yes") == "yes"
    assert os.getenv("LIDR_BENCH") is None


def peak_of(size: int) -> float:
    """The peak memory of a process that allocates this many bytes."""
    with measuring.cost() as spent:
        bytearray(size)
    return spent["peak_bytes"]


def test_operations_that_rows_need() -> None:
    """Two per weight and token, for forward, backward and the reference; the head's for answer tokens only."""
    rows = [{"prompt_ids": [0] * 3, "chosen_ids": [0] * 5, "rejected_ids": [0] * 2}]
    layer = 64 * 64 * 2 + 64 * 16 * 2 * 2 + 3 * 64 * 96
    assert training_shapes.operations("tiny", rows) == 6 * (2 * layer * (3 + 5 + 3 + 2) + 64 * 512 * (5 + 2))


def run_of(tokens: int, losses: list[float]) -> dict[str, Any]:
    return {"pairs": 8, "tokens": tokens, "losses": losses, "seconds": 2.0, "cpu_seconds": 1.0, "peak_bytes": 7}


def test_training_is_compared_where_it_is_the_same() -> None:
    compared = training.compared([run_of(90, [2.0, 1.0])], [run_of(90, [2.0, 1.0005])])
    assert compared["loss_difference"] == pytest.approx(0.0005 / 1.0005)
    assert compared["pairs_per_second"] == {"ours": [4.0], "peer": [4.0]}


@pytest.mark.parametrize(
    ("theirs", "message"),
    [(run_of(91, [2.0, 1.0]), "not the same work"), (run_of(90, [2.0, 1.01]), "not the same training")],
)
def test_training_that_is_not_the_same_has_no_result(theirs: dict[str, Any], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        training.compared([run_of(90, [2.0, 1.0])], [theirs])


def test_the_best_fixed_batch_is_that_of_the_highest_median() -> None:
    speed = {
        "ours": [9.0, 9.0, 9.0],
        "same rows": [3.0, 3.0, 3.0],
        "fixed 8": [4.0, 9.0, 4.0],
        "fixed 32": [5.0, 1.0, 5.0],
    }
    best = generation.best_fixed(speed)
    assert best["best_fixed_rows"] == 32
    assert best["tokens_per_second"]["best fixed"] == [5.0, 1.0, 5.0]


def test_generation_whose_answers_differ_has_no_result() -> None:
    def answer(text: str) -> dict[str, Any]:
        return {"answers": text, "tokens": 5, "seconds": 2.0, "cpu_seconds": 2.0, "peak_bytes": 1}

    with pytest.raises(SystemExit, match="not the same work"):
        generation.in_turn({"ours": lambda: answer("one"), "plain": lambda: answer("two")}, 3, 1)
    same = generation.in_turn({"ours": lambda: answer("one"), "plain": lambda: answer("one")}, 3, 1)
    assert same["tokens_per_second"] == {"ours": [2.5], "plain": [2.5]}
