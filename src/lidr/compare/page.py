"""The comparison as an HTML page without JavaScript (templates/compare.html) and as Markdown (templates/compare.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lidr import config
from lidr.compare import report
from lidr.compare.comparison import BenchmarkResult, Comparison
from lidr.evaluation.registry import AVERAGE
from lidr.evaluation.statistics import PairedTest
from lidr.pages import render


def html(comparison: Comparison, plots: Mapping[str, str]) -> str:
    """The HTML page; `plots` holds each benchmark's SVG by name."""
    return render(
        "compare.html",
        profile=comparison.settings.profile,
        plots=plots,
        bars=_bars,
        average=AVERAGE,
        tone=partial(_tone, comparison),
        kind=partial(_kind, comparison.settings),
        **_content(comparison),
    )


def markdown(comparison: Comparison) -> str:
    """The Markdown report, without tiles and bars; plots are the SVG files beside it."""
    return render("compare.md", plain=plain, fenced=fenced, **_content(comparison))


def opening(report: str) -> str:
    """The title of a report in Markdown and its sentences about the last model, which stand above the tables."""
    return report.partition("\n## ")[0].strip()


def _content(comparison: Comparison) -> dict[str, Any]:
    """The template values that both formats need."""
    return {"comparison": comparison, "models": comparison.models, "report": report}


def _kind(settings: config.Settings, results: BenchmarkResult, place: str) -> str:
    """The tag beside a language's name."""
    if results.benchmark.by != "language" or place in results.groups:
        return ""
    return "dominant" if place == settings.dominant else "trained on" if place in settings.languages else "transfer"


def _tone(comparison: Comparison, change: PairedTest | None) -> str:
    if change is None or not comparison.is_significant(change):
        return "none"
    return "better" if change.difference > 0 else "worse"


def _bars(comparison: Comparison, results: BenchmarkResult) -> Callable[..., list[str]]:
    """A function from an interval to CSS percentages, on a scale that holds all the benchmark's intervals and zero."""
    changes = [
        results.figures[model][place].changes[other]
        for model, other in report.comparisons(comparison)
        for place in report.table_rows(results)
    ]
    ends = [0.0, *(results.points(end) for change in changes for end in (change.low, change.high))]
    margin = max(1.0, 0.04 * (max(ends) - min(ends)))
    low, high = min(ends) - margin, max(ends) + margin

    def bar(start: float, middle: float, end: float) -> list[str]:
        """Left end, width and position of the dot."""
        left, dot, right = (100 * (results.points(value) - low) / (high - low) for value in (start, middle, end))
        return [f"{value:.2f}" for value in (left, right - left, dot)]

    return bar


# --- Markdown ---------------------------------------------------------------------------------------------------------


def fenced(text: str) -> str:
    """A Markdown code block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *text.splitlines(), fence])


def plain(text: str) -> str:
    """Text with Markdown escaped, except in '[24.0' and 'p < 0.001', which need no escape."""
    return re.sub(r"([\\`*_|]|<(?! )|\[(?![-\d])|&(?=[#\w]))", r"\\\1", text)
