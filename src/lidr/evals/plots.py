"""One plot for each benchmark as SVG: the curve of each language over the models, with intervals.

    >>> draw(comparison, comparison.benchmarks[0])
    '<svg width="960" height="..." xmlns="http://www.w3.org/2000/svg" ...>...</svg>\n'

One picture serves the light and the dark theme (`lidr.charts`); the same comparison gives the same bytes.
"""

from __future__ import annotations

from lidr.charts import DASHED, STRONGEST, Curve, Legend, Line, Panel, Point, Scale, curves, picture
from lidr.evals.comparison import Benchmark, Comparison
from lidr.evals.report import interval, marks, measure, number
from lidr.languages import english_name
from lidr.svg import SERIES

HEIGHT = 400
STEPS = 9  # of the scale: by tens from 10 to 100, by fives where that is less


def draw(comparison: Comparison, benchmark: Benchmark) -> str:
    """The plot as a whole document."""
    title = f"{benchmark.title} {measure(comparison, benchmark)} by language"
    lines = [_curve(comparison, benchmark, lang) for lang in benchmark.languages]
    scale = Scale(*_limits(benchmark), STEPS, "{:.0f}".format)
    panel = Panel(
        title,
        lambda box: curves(box, comparison.models, lines, benchmark.middle, scale),
        _legend(benchmark),
        _remark(comparison, benchmark),
    )
    return picture(f"{title} over {', '.join(comparison.models)}", [panel], HEIGHT)


def _curve(comparison: Comparison, benchmark: Benchmark, lang: str) -> Curve:
    settings, last = comparison.settings, comparison.models[-1]
    figures = benchmark.figures[last][lang]
    label = f"{english_name(lang)} {number(benchmark.points(figures.level.estimate))}{marks(comparison, last, figures)}"
    points = [_point(comparison, benchmark, place, lang) for place in range(len(comparison.models))]
    if lang == settings.dominant:
        return Curve(STRONGEST, points, label)
    others = [other for other in benchmark.languages if other != settings.dominant]
    again, colour = divmod(others.index(lang), SERIES - 1)
    dashes = "" if lang in settings.languages else DASHED
    return Curve(f"series-{1 + colour}", points, label, dashes, hollow=again % 2 == 1)


def _point(comparison: Comparison, benchmark: Benchmark, place: int, lang: str) -> Point:
    model = comparison.models[place]
    level = benchmark.figures[model][lang].level
    value, low, high = (benchmark.points(share) for share in (level.estimate, level.low, level.high))
    bounds = interval(comparison, benchmark, model, level)
    tip = f"{english_name(lang)}, {model}: {number(value)}% {bounds}, n = {level.n}"
    return Point(place, value, low, high, tip)


def _legend(benchmark: Benchmark) -> Legend:
    kinds = [
        ("dominant", Line(STRONGEST)),
        ("trained on", Line("soft")),
        ("never trained on (transfer)", Line("soft", dashes=DASHED)),
    ]
    return kinds if benchmark.middle is None else [*kinds, ("as good as the baseline", Line("soft", "dots"))]


def _remark(comparison: Comparison, benchmark: Benchmark) -> str:
    confidence = number(100 * comparison.settings.compare.confidence).removesuffix(".0")
    figures = benchmark.figures[comparison.models[0]]
    items = sorted({figures[lang].items for lang in benchmark.languages})
    span = str(items[0]) if len(items) == 1 else f"{items[0]}-{items[-1]}"
    return f"in %, with {confidence}% intervals; {span} items a language; * differs from m0, † from the model before"


def _limits(benchmark: Benchmark) -> tuple[float, float]:
    """From a whole ten below the lowest interval to a whole ten above the highest, within 0 and 100."""
    levels = [by_place[lang].level for by_place in benchmark.figures.values() for lang in benchmark.languages]
    low = min(benchmark.points(level.low) for level in levels)
    high = max(benchmark.points(level.high) for level in levels)
    bottom, top = max(0.0, low // 10 * 10), min(100.0, -(-high // 10) * 10)
    return (bottom, top) if top - bottom >= 20 else (max(0.0, bottom - 10), min(100.0, top + 10))
