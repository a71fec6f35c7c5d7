"""Held-out prompts: their choice, that they are not trained on, and their figures by hand."""

from __future__ import annotations

import csv
import math
from typing import Any

import msgspec
import pytest
from small_training import log_probabilities, pair

from lidr import paths
from lidr.models.policy import AdapterRecord
from lidr.records.draw import is_held_out
from lidr.records.jsonl import read_json
from lidr.training import stage as train
from lidr.training.stage import FEWEST_HELD_OUT, split

PAIRS = [pair(number) for number in range(60)]


def test_all_pairs_of_a_prompt_are_on_one_side_whatever_their_order() -> None:
    twice = [*PAIRS, *(msgspec.structs.replace(p, id=f"{p.prompt_id}:en:es") for p in PAIRS)]
    trained, held_out = split(twice, 0.4)
    assert {p.prompt_id for p in trained} & {p.prompt_id for p in held_out} == set()
    assert (len(trained), len(held_out)) == (76, 44)
    assert sorted(p.id for p in split(twice[::-1], 0.4)[1]) == sorted(p.id for p in held_out)


def test_share_is_that_of_many_prompts_and_grows_by_more_of_them() -> None:
    names = [f"lab-{number}" for number in range(20_000)]
    drawn = {share: {name for name in names if is_held_out(name, share)} for share in (0.0, 0.05, 0.1)}
    assert not drawn[0.0]
    assert len(drawn[0.05]) == pytest.approx(1000, abs=4 * math.sqrt(20_000 * 0.05 * 0.95))
    assert drawn[0.05] < drawn[0.1]


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_too_few_pairs_to_evaluate_are_trained_on(share: float) -> None:
    assert sum(is_held_out(p.prompt_id, share) for p in PAIRS) < FEWEST_HELD_OUT
    assert split(PAIRS, share) == (PAIRS, [])


@pytest.mark.pipeline
def test_held_out_figures_are_those_by_hand_and_beside_training_s(configure: Any) -> None:
    logged: dict[int, dict[str, float]] = {}
    settings = configure(save_steps=0)
    trained = train.run(settings, "m1", lambda metrics, step: logged.setdefault(step, {}).update(metrics))
    assert (trained.pairs, trained.eval_pairs, trained.steps) == (38, 22, 10)
    record = read_json(paths.model("m1") / paths.RECORD, AdapterRecord)
    assert (record.rows, record.eval_rows) == (38, 22)
    with (paths.model("m1") / "log.csv").open() as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file)}
    names = ("eval_loss", "eval_reward_margin", "eval_reward_accuracy")
    # Before training, and each quarter of 10 steps, rounded up.
    assert [step for step, row in rows.items() if row["eval_loss"]] == [0, 3, 6, 9, 10]
    held_out, values = split(PAIRS, 0.4)[1], (settings.train.alpha, settings.train.dpo["beta"])
    expected = by_hand(held_out, "m1", *values)
    for found in (rows[10], logged[10], trained.last, read_json(paths.model("m1") / "metrics.json")):
        assert isinstance(found, dict)
        assert [float(found[name]) for name in names] == pytest.approx(expected, rel=1e-4, abs=2e-6)
    # Before training the policy equals its reference: margins are only rounding.
    assert {name: value for name, value in rows[0].items() if value} == {"step": "0", "eval_loss": rows[0]["eval_loss"]}
    before = by_hand(held_out, "m0", *values)[0]
    for loss in (trained.first["eval_loss"], logged[0]["eval_loss"], float(rows[0]["eval_loss"])):
        assert loss == pytest.approx(before, rel=1e-4)


def by_hand(pairs: list[Any], of_model: str, alpha: float, beta: float) -> tuple[float, float, float]:
    """Loss, margin and accuracy of a model against m0, one sequence at a time, without TRL."""
    after, before = log_probabilities(pairs, of_model), log_probabilities(pairs, "m0")
    margins, losses = [], []
    for (chosen, rejected), (chosen_before, rejected_before) in zip(after, before, strict=True):
        margins.append(beta * (sum(chosen) - sum(chosen_before) - sum(rejected) + sum(rejected_before)))
        losses.append(math.log1p(math.exp(-margins[-1])) - alpha * sum(chosen) / len(chosen))
    count = len(margins)
    return sum(losses) / count, sum(margins) / count, sum(margin > 0 for margin in margins) / count
