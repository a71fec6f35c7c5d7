"""Stage `harness`: other abilities of a model, by tasks of lm-evaluation-harness.

    $ lidr harness m1
    harness m1: score 0.713 on average over 11 tasks
      lab_sums_en 0.95 [0.84, 0.99] · lab_sums_es 0.68 [0.52, 0.80] · ...

    reports/harness/m1/metrics.json:
    {"average": {"score": 0.713, "n": 440}, "lm_eval": "0.4.13",
     "tasks": {"lab_sums_en": {"score": 0.95, "low": ..., "high": ..., "n": 40, "family": "lab_sums", "metric": "acc",
                               "version": "1.0"}, ...}}

Each item stands in items.jsonl beside it (`records.HarnessItem`). Without tasks both files are empty of results.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from statistics import fmean
from typing import Any

from lidr import config, paths
from lidr.evaluation.harness import BENCHMARK, Harness
from lidr.evaluation.harness.items import items
from lidr.evaluation.registry import Metrics
from lidr.evaluation.statistics import wilson
from lidr.records import HarnessItem
from lidr.records.jsonl import write_json, write_rows


def run(settings: config.Settings, model: str) -> Metrics:
    """Ask all tasks and write; returns the figures by task, and their average under `average`; none without tasks."""
    rows: list[HarnessItem] = []
    if settings.block(Harness).tasks:
        # Here, for lm_eval takes seconds to import.
        from lidr.evaluation.harness.asking import ask

        rows = items(ask(settings, model))
    return write(settings, model, rows)


def write(settings: config.Settings, model: str, rows: Sequence[HarnessItem]) -> Metrics:
    """Write the items and their figures, and return the figures."""
    metrics = summarise(rows, settings)
    folder = BENCHMARK.folder(model)
    write_rows(folder / paths.ITEMS, rows)
    write_json(folder / paths.METRICS, _report(rows, metrics))
    return metrics


def summarise(rows: Sequence[HarnessItem], settings: config.Settings) -> Metrics:
    """Each task's mean score, with Wilson's interval where each is 0 or 1, and the plain average of the tasks."""
    by_task: dict[str, list[float]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row.score)
    metrics = {task: _figures(scores, settings.compare.confidence) for task, scores in by_task.items()}
    if not metrics:
        return {}
    average = fmean(figures["score"] for figures in metrics.values())
    return metrics | {"average": {"score": round(average, 6), "n": len(rows)}}


def _figures(scores: Sequence[float], confidence: float) -> dict[str, float]:
    """Scores between right and wrong get their interval in the comparison: resampling is no reason to ask again."""
    shares = {"score": fmean(scores)}
    if all(score in (0, 1) for score in scores):
        level = wilson(round(sum(scores)), len(scores), confidence)
        shares |= {"low": level.low, "high": level.high}
    return {name: round(share, 6) for name, share in shares.items()} | {"n": len(scores)}


def _report(rows: Sequence[HarnessItem], metrics: Metrics) -> dict[str, Any]:
    """The figures with what they were measured by: each task's version, headline metric and other metrics' means."""
    tasks: dict[str, dict[str, Any]] = {}
    for task, figures in metrics.items():
        own = [row for row in rows if row.task == task]
        if own:
            names = [name for name in own[0].scores if name != own[0].metric]
            others = {name: round(fmean(row.scores[name] for row in own), 6) for name in names}
            about = {"family": own[0].id.rpartition(":")[0], "metric": own[0].metric, "version": own[0].version}
            tasks[task] = figures | others | about
    average = {"average": metrics["average"]} if metrics else {}
    return average | {"lm_eval": version("lm_eval"), "tasks": tasks}
