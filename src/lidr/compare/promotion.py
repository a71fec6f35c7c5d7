"""Whether the comparison supports promoting a model, by its average changes against m0.

evidence(comparison, "m2")
# Evidence(findings=("MGSM accuracy: +12.3 points [8.7, 15.8], p < 0.001, n = 250 ...", ...), objection=None)
"""

from __future__ import annotations

from dataclasses import dataclass

from lidr import paths
from lidr.compare.comparison import AVERAGE, BenchmarkResult, Comparison
from lidr.compare.report import finding
from lidr.errors import LidrError


@dataclass(frozen=True)
class Evidence:
    """A finding per benchmark, and the objection to promoting the model, if any."""

    findings: tuple[str, ...]
    objection: str | None


def evidence(comparison: Comparison, model: str) -> Evidence:
    """No objection if a benchmark's average is significantly above m0's and none is significantly below.

    Raises LidrError for m0.
    """
    if model == paths.BASE:
        raise LidrError(f"{model} is the base: nothing was trained")
    signs = {results.benchmark.title: _sign(comparison, results, model) for results in comparison.results}
    worse = [title for title, sign in signs.items() if sign < 0]
    objection = None
    if worse:
        objection = f"{model} is worse than {paths.BASE} in {' and '.join(worse)}"
    elif not any(sign > 0 for sign in signs.values()):
        objection = f"the comparison shows no gain of {model} over {paths.BASE}"
    return Evidence(tuple(_finding(comparison, results, model) for results in comparison.results), objection)


def _sign(comparison: Comparison, results: BenchmarkResult, model: str) -> int:
    """1 for a gain, -1 for a loss, 0 if the change is not significant."""
    change = results.figures[model][AVERAGE].changes[paths.BASE]
    if not comparison.is_significant(change):
        return 0
    return 1 if change.difference > 0 else -1


def _finding(comparison: Comparison, results: BenchmarkResult, model: str) -> str:
    change = results.figures[model][AVERAGE].changes[paths.BASE]
    return f"{results.benchmark.title} {results.benchmark.measure}: {finding(comparison, results, change)}"
