"""What could be wrong in a benchmark without a sign: ratios, the equality of the work compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import generation
import pytest
import training
import training_shapes


def test_operations_that_rows_need() -> None:
    """Two a weight and token, forwards, backwards and for the reference; the head's for the tokens of answers."""
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


def test_generation_whose_answers_differ_has_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(script: str, *arguments: str, **_: Any) -> dict[str, Any]:
        return {"answers": arguments[-1], "tokens": 5, "seconds": 2.0, "cpu_seconds": 2.0, "peak_bytes": 1}

    monkeypatch.setattr(generation, "child", answer)
    with pytest.raises(SystemExit, match="not the same work"):
        generation.in_turn("a.py", {"ours": ("ours",), "plain": ("plain",)}, 3, 1, tmp_path)
    same = generation.in_turn("a.py", {"ours": ("x",), "plain": ("x",)}, 3, 1, tmp_path)
    assert same["tokens_per_second"] == {"ours": [2.5], "plain": [2.5]}
