"""Sample items for the report: what the last model gained and lost against m0, with every model's answer.

    >>> samples = draw(settings, mgsm, ("m0", "m1", "m2"), rows)
    >>> samples[0].id, samples[0].lang, samples[0].gained, [reply.outcome for reply in samples[0].replies]
    ('lab-230', 'fr', True, ['wrong', 'right', 'right'])

They are drawn by the hash of `id:place`: the same ones at every run, and none picked for its looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from lidr import config
from lidr.evaluation.registry import Benchmark
from lidr.evaluation.rows import Rows

SAMPLES = 4  # shown of those gained, and of those lost


@dataclass(frozen=True)
class ModelAnswer:
    """One model's answer to a sample item. `good` is None where it is neither right nor wrong."""

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
    """Items that the last model gained or lost against m0: drawn by the hash of `id:place`, one a place at most."""
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
    # The baseline is one of the models shown.
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
