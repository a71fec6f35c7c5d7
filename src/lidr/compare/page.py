"""A comparison as one HTML page without a script (templates/compare.html) and as Markdown (templates/compare.md).

>>> html(comparison, {"mgsm": "<svg ...", "alpaca": "<svg ..."})[:15]
'<!doctype html>'
>>> markdown(comparison)[:45]
'# What m2 does better than m0, and what it does'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lidr.compare import report
from lidr.compare.comparison import AVERAGE, Change, Comparison, Results
from lidr.pages import drawings, render


def html(comparison: Comparison, plots: Mapping[str, str]) -> str:
    """The page; `plots` holds the SVG of each benchmark by its name."""
    tiles = [_tile(comparison, results) for results in comparison.results]
    profile = comparison.settings.profile
    return render("compare.html", profile=profile, tiles=tiles, plots=drawings(plots), **_content(comparison))


def markdown(comparison: Comparison) -> str:
    """The same without tiles and bars; plots are the SVG files beside it."""
    return render("compare.md", plain=plain, fenced=fenced, **_content(comparison))


def _content(comparison: Comparison) -> dict[str, Any]:
    """What both show."""
    return {
        "models": comparison.models,
        "heading": report.title(comparison),
        "headlines": report.headlines(comparison),
        "sections": [_section(comparison, results) for results in comparison.results],
        "how_to_read": report.how_to_read(comparison),
        "facts": report.facts(comparison),
    }


def _tile(comparison: Comparison, results: Results) -> dict[str, Any]:
    """The averages of all models at a glance."""
    averages = {model: results.figures[model][AVERAGE] for model in comparison.models}
    changes = averages[comparison.models[-1]].changes
    change = changes.get(comparison.models[0])
    return {
        "name": f"{results.benchmark.title} {report.measure(comparison, results)}, {_over(results)}, %",
        "values": [(m, report.number(results.points(f.level.estimate))) for m, f in averages.items()],
        "change": report.difference(results, change) if change else "",
        "p": report.p_value(change.p) if change else "",
        "tone": _tone(comparison, change) if change else "none",
    }


def _over(results: Results) -> str:
    count = len(results.places)
    return f"average of {count} {results.benchmark.by}s" if count > 1 else results.places[0]


def _section(comparison: Comparison, results: Results) -> dict[str, Any]:
    span = _span(comparison, results)
    lists = [
        {
            "title": f"{model} against {other}",
            "rows": [
                _difference(comparison, results, model, other, place, span) for place in report.table_rows(results)
            ],
        }
        for model, other in report.comparisons(comparison)
    ]
    return {
        "name": results.benchmark.name,
        "title": f"{results.benchmark.title} {report.measure(comparison, results)}",
        "what": results.what,
        "notes": results.notes,
        "by": results.benchmark.by,
        "rows": [_levels(comparison, results, place) for place in report.table_rows(results)],
        "zero": f"{_percent(0.0, span):.2f}",
        "lists": lists,
        "count_headings": report.count_headings(results),
        "counts": [_counts(comparison, results, place) for place in results.places],
        "has_baseline": bool(results.baseline_off_target),
        "expected": results.benchmark.expected,
        "samples": results.samples,
    }


def _levels(comparison: Comparison, results: Results, place: str) -> dict[str, Any]:
    """A row of the main table."""
    cells = []
    for model in comparison.models:
        figures = results.figures[model][place]
        change = figures.changes.get(comparison.models[0])
        cells.append(
            {
                "value": report.number(results.points(figures.level.estimate)),
                "marks": report.marks(comparison, model, figures),
                "interval": report.interval(comparison, results, model, figures.level),
                "tone": _tone(comparison, change) if change else "none",
            }
        )
    return {
        "name": report.place_name(results, place),
        "kind": "group" if place in results.groups else _kind(comparison, results, place),
        "cells": cells,
        "n": report.items(results, place),
    }


def _kind(comparison: Comparison, results: Results, lang: str) -> str:
    if results.benchmark.by != "language":
        return ""
    settings = comparison.settings
    return "dominant" if lang == settings.dominant else "trained on" if lang in settings.languages else "transfer"


def _difference(
    comparison: Comparison, results: Results, model: str, other: str, place: str, span: tuple[float, float]
) -> dict[str, Any]:
    """A sentence, and its interval as a bar between `left` and `left + width` percent of the scale."""
    change = results.figures[model][place].changes[other]
    low, middle, high = (
        _percent(results.points(value), span) for value in (change.test.low, change.test.difference, change.test.high)
    )
    return {
        "name": place if place not in results.groups else report.group_name(results, place),
        "finding": report.finding(comparison, results, change),
        "tone": _tone(comparison, change),
        "is_group": place in results.groups,
        "left": f"{low:.2f}",
        "width": f"{high - low:.2f}",
        "middle": f"{middle:.2f}",
    }


def _tone(comparison: Comparison, change: Change) -> str:
    if not comparison.is_significant(change):
        return "none"
    return "better" if change.test.difference > 0 else "worse"


def _span(comparison: Comparison, results: Results) -> tuple[float, float]:
    """The scale of a benchmark's bars: all its intervals, and zero."""
    ends = [0.0]
    for model, other in report.comparisons(comparison):
        for place in report.table_rows(results):
            test = results.figures[model][place].changes[other].test
            ends += [results.points(test.low), results.points(test.high)]
    margin = max(1.0, 0.04 * (max(ends) - min(ends)))
    return min(ends) - margin, max(ends) + margin


def _percent(points: float, span: tuple[float, float]) -> float:
    return 100 * (points - span[0]) / (span[1] - span[0])


def _counts(comparison: Comparison, results: Results, place: str) -> dict[str, Any]:
    by_model = [results.figures[model][place] for model in comparison.models]
    return {
        "name": report.place_name(results, place),
        "by_model": [list(figures.counts.values()) for figures in by_model],
        "baseline": results.baseline_off_target.get(place, 0),
        "items": by_model[0].items,
    }


# --- Markdown ---------------------------------------------------------------------------------------------------------


def fenced(text: str) -> str:
    """A block that no text can break out of: its fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *text.splitlines(), fence])


def plain(text: str) -> str:
    """Text that Markdown shows as it is; '[24.0' and 'p < 0.001' need no mark for that."""
    return re.sub(r"([\\`*_|]|<(?! )|\[(?![-\d])|&(?=[#\w]))", r"\\\1", text)
