"""Stage `harness`: a model's other abilities, by tasks of lm-evaluation-harness.

    $ lidr harness m1
    harness m1: score 0.713 on average over 11 tasks
      lab_sums_en 0.95 [0.84, 0.99] · lab_sums_es 0.68 [0.52, 0.80] · ...

    reports/harness/m1/metrics.json:
    {"average": {"score": 0.713, "n": 440}, "lm_eval": "0.4.13",
     "tasks": {"lab_sums_en": {"score": 0.95, "low": ..., "high": ..., "n": 40, "family": "lab_sums", "metric": "acc",
                               "version": "1.0"}, ...}}

items.jsonl beside it has each item (`records.HarnessItem`). Without tasks both files have no results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from statistics import fmean
from typing import Any

from lidr import config, paths
from lidr.evaluation.harness import BENCHMARK, Harness
from lidr.evaluation.harness.items import items
from lidr.evaluation.registry import AVERAGE, Metrics
from lidr.records import HarnessItem
from lidr.records.jsonl import write_json, write_rows


def run(settings: config.Settings, model: str) -> Metrics:
    """Run all tasks, write, and return the figures by task and their average; empty without tasks."""
    rows: list[HarnessItem] = []
    if settings.block(Harness).tasks:
        # lm_eval takes seconds to import.
        from lidr.evaluation.harness.asking import ask

        rows = items(ask(settings, model))
    return write(settings, model, rows)


def write(settings: config.Settings, model: str, rows: Sequence[HarnessItem]) -> Metrics:
    """Write the items and their figures, and return the figures."""
    by_task: dict[str, list[HarnessItem]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row)
    tasks = {task: _figures(own, settings.compare.confidence) for task, own in by_task.items()}
    average = {AVERAGE: {"score": _mean(own["score"] for own in tasks.values()), "n": len(rows)}} if tasks else {}
    report = average | {"lm_eval": version("lm_eval"), "tasks": tasks}
    folder = BENCHMARK.folder(model)
    write_rows(folder / paths.ITEMS, rows)
    write_json(folder / paths.METRICS, report)
    return BENCHMARK.figures(report)


def _figures(rows: Sequence[HarnessItem], confidence: float) -> dict[str, Any]:
    """A task's mean score with interval, the means of its other metrics, its family, headline metric and version."""
    first, level = rows[0], BENCHMARK.level([row.score for row in rows], confidence)
    values = {"score": level.estimate, "low": level.low, "high": level.high}
    figures: dict[str, Any] = {name: round(value, 6) for name, value in values.items()} | {"n": len(rows)}
    figures |= {name: _mean(row.scores[name] for row in rows) for name in first.scores if name != first.metric}
    return figures | {"family": first.id.rpartition(":")[0], "metric": first.metric, "version": first.version}


def _mean(values: Iterable[float]) -> float:
    return round(fmean(values), 6)
