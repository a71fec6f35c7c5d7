"""One figure for each benchmark as SVG: the curve of each language or task over the models, with intervals.

    >>> draw(comparison, comparison.benchmarks[0])
    '<svg xmlns="http://www.w3.org/2000/svg" ... aria-label="MGSM accuracy by language over m0, m1, m2">...</svg>\n'

The dominant language is black, languages that are never trained on are dashed. Tasks that differ only in their language
are drawn as one curve, their average.
"""

from __future__ import annotations

from lidr.compare.comparison import Benchmark, Comparison
from lidr.compare.report import interval, marks, measure, number
from lidr.evaluation.registry import AVERAGE, Kind
from lidr.pages.figures import SERIES, SOFT, STRONGEST, Canvas, Curve, Point, render
from lidr.records.languages import english_name

HEIGHT = 4.6


def draw(comparison: Comparison, benchmark: Benchmark) -> str:
    """The figure as a whole document."""
    title = f"{benchmark.title} {measure(comparison, benchmark)} by {benchmark.by}"
    lines = [_curve(comparison, benchmark, place) for place in _drawn(benchmark)]

    def paint(canvas: Canvas) -> None:
        (axes,) = canvas.axes
        canvas.titles(axes, title, _remark(comparison, benchmark))
        canvas.curves(axes, comparison.models, lines, benchmark.middle)
        if benchmark.by == "language":
            canvas.line_legend(_legend(benchmark))

    return render(f"{title} over {', '.join(comparison.models)}", paint, height=HEIGHT)


def not_measured(kind: Kind) -> str:
    """The figure of a benchmark that this pipeline does not have."""
    title = f"{kind.title} {kind.measure} by {kind.by}"

    def paint(canvas: Canvas) -> None:
        (axes,) = canvas.axes
        canvas.titles(axes, title, "not a part of this pipeline")
        canvas.curves(axes, (), [], None)

    return render(title, paint, height=HEIGHT)


def _drawn(benchmark: Benchmark) -> tuple[str, ...]:
    """All languages; of tasks the families, and those that belong to none."""
    if benchmark.by == "language":
        return benchmark.places
    families = {name: members for name, members in benchmark.groups.items() if name != AVERAGE}
    in_families = {task for members in families.values() for task in members}
    return (*families, *(task for task in benchmark.places if task not in in_families))


def _curve(comparison: Comparison, benchmark: Benchmark, lang: str) -> Curve:
    settings, last = comparison.settings, comparison.models[-1]
    figures = benchmark.figures[last][lang]
    label = (
        f"{_name(benchmark, lang)} {number(benchmark.points(figures.level.estimate))}{marks(comparison, last, figures)}"
    )
    points = [_point(comparison, benchmark, place, lang) for place in range(len(comparison.models))]
    if lang == settings.dominant:
        return Curve(label, STRONGEST, points)
    others = [other for other in _drawn(benchmark) if other != settings.dominant]
    again, colour = divmod(others.index(lang), SERIES - 1)
    is_transfer = benchmark.by == "language" and lang not in settings.languages
    return Curve(label, f"C{1 + colour}", points, is_transfer, hollow=again % 2 == 1)


def _name(benchmark: Benchmark, place: str) -> str:
    return english_name(place) if benchmark.by == "language" else place


def _point(comparison: Comparison, benchmark: Benchmark, place: int, lang: str) -> Point:
    model = comparison.models[place]
    level = benchmark.figures[model][lang].level
    value, low, high = (benchmark.points(share) for share in (level.estimate, level.low, level.high))
    bounds = interval(comparison, benchmark, model, level)
    tip = f"{_name(benchmark, lang)}, {model}: {number(value)}% {bounds}, n = {level.n}"
    return Point(place, value, low, high, tip)


def _legend(benchmark: Benchmark) -> list[tuple[str, str, str]]:
    kinds = [
        ("dominant", STRONGEST, "-"),
        ("trained on", SOFT, "-"),
        ("never trained on (transfer)", SOFT, "--"),
    ]
    return kinds if benchmark.middle is None else [*kinds, ("as good as the baseline", SOFT, ":")]


def _remark(comparison: Comparison, benchmark: Benchmark) -> str:
    confidence = number(100 * comparison.settings.compare.confidence).removesuffix(".0")
    figures = benchmark.figures[comparison.models[0]]
    items = sorted({figures[place].items for place in benchmark.places})
    span = str(items[0]) if len(items) == 1 else f"{items[0]}-{items[-1]}"
    return (
        f"in %, with {confidence}% intervals; {span} items a {benchmark.by}; * differs from m0, † from the model before"
    )
