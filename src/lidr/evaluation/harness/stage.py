"""Stage `harness`: a model's other abilities, by tasks of lm-evaluation-harness.

    $ lidr harness m1
    harness m1: score 0.713 on average over 11 tasks
      lab_sums_en 0.95 [0.84, 0.99] · lab_sums_es 0.68 [0.52, 0.80] · ...

    reports/harness/m1/metrics.json:
    {"average": {"score": 0.713, "n": 440}, "lm_eval": "0.4.13",
     "tasks": {"lab_sums_en": {"score": 0.95, "low": ..., "high": ..., "n": 40, "metric": "acc",
                               "family": "lab_sums_LANG", "version": "1.0"}, ...}}

items.jsonl beside it has each item (`records.HarnessItem`). Without tasks both files have no results.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby
from statistics import fmean
from typing import Any

from lidr import config, paths
from lidr.evaluation.harness import BENCHMARK, Harness
from lidr.evaluation.harness.items import items
from lidr.evaluation.registry import AVERAGE, Metrics
from lidr.evaluation.summary import summarise
from lidr.records import HarnessItem
from lidr.records.jsonl import write_json, write_rows
from lidr.records.rounding import rounded


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
    figures = summarise(BENCHMARK, settings, rows) if rows else {}
    average = {AVERAGE: figures[AVERAGE]} if rows else {}
    tasks = {task: figures[task] | _about(list(own)) for task, own in groupby(rows, key=BENCHMARK.place)}
    report = average | {"lm_eval": version("lm_eval"), "tasks": tasks}
    folder = BENCHMARK.folder(model)
    write_rows(folder / paths.ITEMS, rows)
    write_json(folder / paths.METRICS, report)
    return BENCHMARK.figures(report)


def _about(rows: Sequence[HarnessItem]) -> dict[str, Any]:
    """The means of a task's other metrics, its family, headline metric and version."""
    first = rows[0]
    others = {name: fmean(row.scores[name] for row in rows) for name in first.scores if name != first.metric}
    return rounded(others) | {
        "family": first.id.rpartition(":")[0],
        "metric": first.metric,
        "version": first.version,
    }
