"""Sample items for the report: gained and lost by the last model against m0, with all models' answers.

They are drawn by the hash of `id:place`: random, and the same in every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from lidr import config
from lidr.evaluation.registry import Benchmark
from lidr.evaluation.rows import Rows

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
    drawn = sorted(first, key=lambda key: sha256(key.encode()).hexdigest())
    samples = []
    for gained in (True, False):
        places: dict[str, str] = {}
        for key in drawn:
            before, after = benchmark.score(first[key]), benchmark.score(last[key])
            if before is not None and after is not None and before != after and (after > before) is gained:
                places.setdefault(benchmark.place(first[key]), key)
        samples += [_sample(settings, benchmark, models, rows, key, gained) for key in list(places.values())[:SAMPLES]]
    return tuple(samples)


def _sample(
    settings: config.Settings,
    benchmark: Benchmark,
    models: Sequence[str],
    rows: Mapping[str, Rows],
    key: str,
    gained: bool,
) -> ChangedItem:
    row = rows[models[0]][key]
    is_shown = benchmark.baseline_level is not None and settings.baseline.model in models
    return ChangedItem(
        id=row.id,
        lang=row.lang,
        place=benchmark.place(row),
        gained=gained,
        prompt=row.prompt,
        expected=None if is_shown else benchmark.expectation(row),
        replies=tuple(_reply(benchmark, model, rows[model][key], settings.baseline.model) for model in models),
    )


def _reply(benchmark: Benchmark, model: str, row: Any, baseline: str) -> ModelAnswer:
    outcome, good = benchmark.outcome(row)
    if benchmark.baseline_level is not None and model == baseline:
        outcome, good = "the baseline", None
    notes = tuple(
        name.replace("_", " ") for name, counted in benchmark.counts.items() if counted(row) and name != "unjudged"
    )
    return ModelAnswer(model, row.completion, outcome, good, notes)
