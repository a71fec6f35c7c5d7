"""Sample items for the report: gained and lost by the last model against m0, with all models' answers.

They are drawn by the hash of `id:place`: random, and the same in every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lidr import config
from lidr.evaluation.registry import Benchmark
from lidr.evaluation.rows import Rows
from lidr.records.draw import rank

SAMPLES = 4  # of gained items, and of lost ones


@dataclass(frozen=True)
class ModelAnswer:
    """One model's answer to a sample item; `good` is None if it is neither right nor wrong."""

    model: str
    text: str
    outcome: str
    good: bool | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ChangedItem:
    """An item that the last model gained or lost against m0, with all models' answers."""

    id: str
    lang: str
    place: str
    gained: bool
    prompt: str
    expected: str | None
    replies: tuple[ModelAnswer, ...]


def draw(
    settings: config.Settings, benchmark: Benchmark, models: Sequence[str], rows: Mapping[str, Rows]
) -> tuple[ChangedItem, ...]:
    """Draw items that the last model gained or lost against m0, at most one per place."""
    first, last = rows[models[0]], rows[models[-1]]
    gained: dict[str, str] = {}  # the first item drawn in each place
    lost: dict[str, str] = {}
    for key in sorted(first, key=rank):
        before, after = benchmark.score(first[key]), benchmark.score(last[key])
        if before is not None and after is not None and before != after:
            (gained if after > before else lost).setdefault(benchmark.place(first[key]), key)
    baseline = None if benchmark.baseline_level is None else settings.baseline.model
    return tuple(
        ChangedItem(
            id=first[key].id,
            lang=first[key].lang,
            place=place,
            gained=found is gained,
            prompt=first[key].prompt,
            expected=None if baseline in models else benchmark.expectation(first[key]),
            replies=tuple(_reply(benchmark, model, rows[model][key], model == baseline) for model in models),
        )
        for found in (gained, lost)
        for place, key in list(found.items())[:SAMPLES]
    )


def _reply(benchmark: Benchmark, model: str, row: Any, is_baseline: bool) -> ModelAnswer:
    outcome, good = ("the baseline", None) if is_baseline else benchmark.outcome(row)
    defects = [name.replace("_", " ") for name, holds in benchmark.counts.items() if name != "unjudged" and holds(row)]
    return ModelAnswer(model, row.completion, outcome, good, tuple(defects))
