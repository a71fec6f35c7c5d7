"""SVG plots of each benchmark: levels with intervals over the models, a curve per language or task.

The dominant language is black; languages that are never trained on are dashed. Tasks that differ only in their language
share one curve, their average.
"""

from __future__ import annotations

from lidr.compare.comparison import BenchmarkResult, Comparison
from lidr.compare.report import interval, is_baseline, marks, measure, number, what_marks_mean
from lidr.evaluation.registry import AVERAGE, Benchmark
from lidr.pages.figures import SERIES, SOFT, STRONGEST, Canvas, Curve, Point, render
from lidr.records.languages import english_name

HEIGHT = 4.6


def draw(comparison: Comparison, results: BenchmarkResult) -> str:
    """The plot as an SVG document."""
    title = f"{results.benchmark.title} {measure(comparison, results)} by {results.benchmark.by}"
    lines = [_curve(comparison, results, place) for place in _drawn(results)]

    def paint(canvas: Canvas) -> None:
        (axes,) = canvas.axes
        canvas.titles(axes, title, _remark(comparison, results))
        canvas.curves(axes, comparison.models, lines, results.benchmark.baseline_level)
        if results.benchmark.by == "language":
            canvas.line_legend(_legend(results))

    return render(f"{title} over {', '.join(comparison.models)}", paint, height=HEIGHT)


def not_measured(benchmark: Benchmark) -> str:
    """The placeholder plot of a benchmark that this pipeline does not have."""
    title = f"{benchmark.title} {benchmark.measure} by {benchmark.by}"

    def paint(canvas: Canvas) -> None:
        (axes,) = canvas.axes
        canvas.titles(axes, title, "not a part of this pipeline")
        canvas.curves(axes, (), [], None)

    return render(title, paint, height=HEIGHT)


def _drawn(results: BenchmarkResult) -> tuple[str, ...]:
    """The curves to draw: all languages; or families of tasks, and tasks without a family."""
    if results.benchmark.by == "language":
        return results.places
    families = {name: members for name, members in results.groups.items() if name != AVERAGE}
    in_families = {task for members in families.values() for task in members}
    return (*families, *(task for task in results.places if task not in in_families))


def _curve(comparison: Comparison, results: BenchmarkResult, lang: str) -> Curve:
    settings, last = comparison.settings, comparison.models[-1]
    figures = results.figures[last][lang]
    label = f"{_name(results, lang)} {number(results.points(figures.level.estimate))}{marks(comparison, last, figures)}"
    points = [_point(comparison, results, place, lang) for place in range(len(comparison.models))]
    if lang == settings.dominant:
        return Curve(label, STRONGEST, points)
    others = [other for other in _drawn(results) if other != settings.dominant]
    again, colour = divmod(others.index(lang), SERIES - 1)
    is_transfer = results.benchmark.by == "language" and lang not in settings.languages
    return Curve(label, f"C{1 + colour}", points, is_transfer, hollow=again % 2 == 1)


def _name(results: BenchmarkResult, place: str) -> str:
    return english_name(place) if results.benchmark.by == "language" else place


def _point(comparison: Comparison, results: BenchmarkResult, place: int, lang: str) -> Point:
    model = comparison.models[place]
    level = results.figures[model][lang].level
    value, low, high = (results.points(share) for share in (level.estimate, level.low, level.high))
    bounds = interval(comparison, results, model, level)
    tip = f"{_name(results, lang)}, {model}: {number(value)}% {bounds}, n = {level.n}"
    if is_baseline(comparison, results, model):
        low = high = value
    return Point(place, value, low, high, tip)


def _legend(results: BenchmarkResult) -> list[tuple[str, str, str]]:
    kinds = [
        ("dominant", STRONGEST, "-"),
        ("trained on", SOFT, "-"),
        ("never trained on (transfer)", SOFT, "--"),
    ]
    return kinds if results.benchmark.baseline_level is None else [*kinds, ("as good as the baseline", SOFT, ":")]


def _remark(comparison: Comparison, results: BenchmarkResult) -> str:
    confidence = number(100 * comparison.settings.compare.confidence).removesuffix(".0")
    figures = results.figures[comparison.models[0]]
    items = sorted({figures[place].items for place in results.places})
    span = str(items[0]) if len(items) == 1 else f"{items[0]}-{items[-1]}"
    items_of = f"{span} items a {results.benchmark.by}"
    return f"in %, with {confidence}% intervals; {items_of}; {what_marks_mean(comparison)}"
