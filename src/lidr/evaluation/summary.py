"""A benchmark's figures by place (a language or a task), and their average: what metrics.json holds.

{"es": {"accuracy": 0.72, "low": 0.66, "high": 0.77, "n": 250}, ..., "average": {"accuracy": 0.7, "n": 1250}}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from lidr import config
from lidr.errors import InputError
from lidr.evaluation.registry import AVERAGE, Benchmark, Metrics
from lidr.records.rounding import rounded


def summarise(
    benchmark: Benchmark,
    settings: config.Settings,
    rows: Sequence[Any],
    more: Callable[[Sequence[Any]], dict[str, float]] = lambda rows: {},
) -> Metrics:
    """Figures by place: the level with its interval, `more` figures, the shares of counted defects, and n.

    Their plain averages and sums are under `average`. Raises InputError for a place in which no row has a score.
    """
    by_place: dict[str, list[Any]] = {}
    for row in rows:
        by_place.setdefault(benchmark.place(row), []).append(row)
    metrics: Metrics = {}
    for place, own in by_place.items():
        scores = [score for row in own if (score := benchmark.score(row)) is not None]
        if not scores:
            raise InputError(f"not one answer in {place!r} is judged; a score of at least one is expected")
        level = benchmark.level(scores, settings.compare.confidence)
        metrics[place] = rounded(
            {benchmark.level_name: level.estimate, "low": level.low, "high": level.high}
            | more(own)
            | {name: sum(values) / len(values) for name, values in benchmark.counted(own).items()}
            | {"n": len(own)}
        )
    return metrics | {AVERAGE: _averaged(benchmark, metrics)}


def _averaged(benchmark: Benchmark, metrics: Metrics) -> dict[str, float]:
    """Each figure's average, or sum, over the places that have it."""
    names = dict.fromkeys(name for figures in metrics.values() for name in figures if name not in benchmark.of_places)
    given = {name: [figures[name] for figures in metrics.values() if name in figures] for name in names}
    return {name: rounded((sum if name in benchmark.sums else fmean)(values)) for name, values in given.items()}
