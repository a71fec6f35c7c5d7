"""One figure for each benchmark as SVG: the curve of each language over the models, with intervals.

    >>> draw(comparison, comparison.benchmarks[0])
    '<svg xmlns="http://www.w3.org/2000/svg" ... aria-label="MGSM accuracy by language over m0, m1, m2">...</svg>\n'

The dominant language is black, languages that are never trained on are dashed.
"""

from __future__ import annotations

from lidr.evals.comparison import Benchmark, Comparison
from lidr.evals.report import interval, marks, measure, number
from lidr.figures import SERIES, SOFT, STRONGEST, Canvas, Curve, Point, render
from lidr.languages import english_name

HEIGHT = 4.6


def draw(comparison: Comparison, benchmark: Benchmark) -> str:
    """The figure as a whole document."""
    title = f"{benchmark.title} {measure(comparison, benchmark)} by language"
    lines = [_curve(comparison, benchmark, lang) for lang in benchmark.languages]

    def paint(canvas: Canvas) -> None:
        (axes,) = canvas.axes
        canvas.titles(axes, title, _remark(comparison, benchmark))
        canvas.curves(axes, comparison.models, lines, benchmark.middle)
        canvas.line_legend(_legend(benchmark))

    return render(f"{title} over {', '.join(comparison.models)}", paint, height=HEIGHT)


def _curve(comparison: Comparison, benchmark: Benchmark, lang: str) -> Curve:
    settings, last = comparison.settings, comparison.models[-1]
    figures = benchmark.figures[last][lang]
    label = f"{english_name(lang)} {number(benchmark.points(figures.level.estimate))}{marks(comparison, last, figures)}"
    points = [_point(comparison, benchmark, place, lang) for place in range(len(comparison.models))]
    if lang == settings.dominant:
        return Curve(label, STRONGEST, points)
    others = [other for other in benchmark.languages if other != settings.dominant]
    again, colour = divmod(others.index(lang), SERIES - 1)
    return Curve(label, f"C{1 + colour}", points, lang not in settings.languages, hollow=again % 2 == 1)


def _point(comparison: Comparison, benchmark: Benchmark, place: int, lang: str) -> Point:
    model = comparison.models[place]
    level = benchmark.figures[model][lang].level
    value, low, high = (benchmark.points(share) for share in (level.estimate, level.low, level.high))
    bounds = interval(comparison, benchmark, model, level)
    tip = f"{english_name(lang)}, {model}: {number(value)}% {bounds}, n = {level.n}"
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
    items = sorted({figures[lang].items for lang in benchmark.languages})
    span = str(items[0]) if len(items) == 1 else f"{items[0]}-{items[-1]}"
    return f"in %, with {confidence}% intervals; {span} items a language; * differs from m0, † from the model before"
