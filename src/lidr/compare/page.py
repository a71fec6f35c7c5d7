"""A comparison as one HTML page (templates/compare.html), which has no script.

>>> html(comparison, {"mgsm": "<svg ...", "alpaca": "<svg ..."})[:15]
'<!doctype html>'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lidr.compare import report
from lidr.compare.comparison import AVERAGE, Benchmark, Change, Comparison
from lidr.pages import drawings, render


def html(comparison: Comparison, plots: Mapping[str, str]) -> str:
    """The page; `plots` holds the SVG of each benchmark by its name."""
    drawn = drawings(plots)
    return render(
        "compare.html",
        models=comparison.models,
        profile=comparison.settings.profile,
        heading=report.title(comparison),
        headlines=report.headlines(comparison),
        tiles=[_tile(comparison, benchmark) for benchmark in comparison.benchmarks],
        sections=[_section(comparison, benchmark, drawn) for benchmark in comparison.benchmarks],
        how_to_read=report.how_to_read(comparison),
        facts=report.facts(comparison),
    )


def _tile(comparison: Comparison, benchmark: Benchmark) -> dict[str, Any]:
    """The averages of all models at a glance."""
    averages = {model: benchmark.figures[model][AVERAGE] for model in comparison.models}
    changes = averages[comparison.models[-1]].changes
    change = changes.get(comparison.models[0])
    return {
        "name": f"{benchmark.title} {report.measure(comparison, benchmark)}, {_over(benchmark)}, %",
        "values": [(m, report.number(benchmark.points(f.level.estimate))) for m, f in averages.items()],
        "change": report.difference(benchmark, change) if change else "",
        "p": report.p_value(change.p) if change else "",
        "tone": _tone(comparison, change) if change else "none",
    }


def _over(benchmark: Benchmark) -> str:
    count = len(benchmark.places)
    return f"average of {count} {benchmark.by}s" if count > 1 else benchmark.places[0]


def _section(comparison: Comparison, benchmark: Benchmark, plots: Mapping[str, Any]) -> dict[str, Any]:
    span = _span(comparison, benchmark)
    lists = [
        {
            "title": f"{model} against {other}",
            "rows": [
                _difference(comparison, benchmark, model, other, place, span) for place in report.table_rows(benchmark)
            ],
        }
        for model, other in report.comparisons(comparison)
    ]
    return {
        "name": benchmark.name,
        "title": f"{benchmark.title} {report.measure(comparison, benchmark)}",
        "what": benchmark.what,
        "by": benchmark.by,
        "plot": plots[benchmark.name],
        "rows": [_levels(comparison, benchmark, place) for place in report.table_rows(benchmark)],
        "zero": f"{_percent(0.0, span):.2f}",
        "lists": lists,
        "count_headings": report.count_headings(benchmark),
        "counts": [_counts(comparison, benchmark, place) for place in benchmark.places],
        "has_baseline": bool(benchmark.baseline_off_target),
        "expected": benchmark.expected,
        "samples": benchmark.samples,
    }


def _levels(comparison: Comparison, benchmark: Benchmark, place: str) -> dict[str, Any]:
    """A row of the main table."""
    cells = []
    for model in comparison.models:
        figures = benchmark.figures[model][place]
        change = figures.changes.get(comparison.models[0])
        cells.append(
            {
                "value": report.number(benchmark.points(figures.level.estimate)),
                "marks": report.marks(comparison, model, figures),
                "interval": report.interval(comparison, benchmark, model, figures.level),
                "tone": _tone(comparison, change) if change else "none",
            }
        )
    return {
        "name": report.place_name(benchmark, place),
        "kind": "group" if place in benchmark.groups else _kind(comparison, benchmark, place),
        "cells": cells,
        "n": report.items(benchmark, place),
    }


def _kind(comparison: Comparison, benchmark: Benchmark, lang: str) -> str:
    if benchmark.by != "language":
        return ""
    settings = comparison.settings
    return "dominant" if lang == settings.dominant else "trained on" if lang in settings.languages else "transfer"


def _difference(
    comparison: Comparison, benchmark: Benchmark, model: str, other: str, place: str, span: tuple[float, float]
) -> dict[str, Any]:
    """A sentence, and its interval as a bar between `left` and `left + width` percent of the scale."""
    change = benchmark.figures[model][place].changes[other]
    low, middle, high = (
        _percent(benchmark.points(value), span) for value in (change.test.low, change.test.difference, change.test.high)
    )
    return {
        "name": place if place not in benchmark.groups else report.group_name(benchmark, place),
        "finding": report.finding(comparison, benchmark, change),
        "tone": _tone(comparison, change),
        "is_group": place in benchmark.groups,
        "left": f"{low:.2f}",
        "width": f"{high - low:.2f}",
        "middle": f"{middle:.2f}",
    }


def _tone(comparison: Comparison, change: Change) -> str:
    if not comparison.is_significant(change):
        return "none"
    return "better" if change.test.difference > 0 else "worse"


def _span(comparison: Comparison, benchmark: Benchmark) -> tuple[float, float]:
    """The scale of a benchmark's bars: all its intervals, and zero."""
    ends = [0.0]
    for model, other in report.comparisons(comparison):
        for place in report.table_rows(benchmark):
            test = benchmark.figures[model][place].changes[other].test
            ends += [benchmark.points(test.low), benchmark.points(test.high)]
    margin = max(1.0, 0.04 * (max(ends) - min(ends)))
    return min(ends) - margin, max(ends) + margin


def _percent(points: float, span: tuple[float, float]) -> float:
    return 100 * (points - span[0]) / (span[1] - span[0])


def _counts(comparison: Comparison, benchmark: Benchmark, place: str) -> dict[str, Any]:
    by_model = [benchmark.figures[model][place] for model in comparison.models]
    return {
        "name": report.place_name(benchmark, place),
        "by_model": [list(figures.counts.values()) for figures in by_model],
        "baseline": benchmark.baseline_off_target.get(place, 0),
        "items": by_model[0].items,
    }
