"""One plot for each benchmark: the curve of each language over the iterations, as PNG.

    >>> png(comparison, comparison.benchmarks[0])[:4]
    b'\\x89PNG'

Same comparison, same bytes: the style is matplotlib's default whatever the user's own, the font is the one that
matplotlib ships, and no date or version is written into the file.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from lidr.evals.comparison import Benchmark, Comparison
from lidr.evals.report import marks, measure, number
from lidr.languages import english_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Black for the dominant language; for the others Paul Tol's 'muted' scheme, which colour-blind readers can tell apart,
# its light colours darkened so that the labels can be read.
DOMINANT = "#1a1a1a"
COLOURS = ("#CC6677", "#332288", "#117733", "#BF8100", "#4F86E0", "#AA4499", "#2A9D8F", "#882255", "#7F7F24")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
GREY, FAINT = "#6b7280", "#e5e7eb"
DASHED = (0, (4, 2))
MIDDLE: dict[str, Any] = {"color": GREY, "linewidth": 1.4, "linestyle": (0, (1, 1.5))}

WIDTH, HEIGHT, DPI = 9.6, 5.6, 150
DODGE = 0.028  # between the intervals of neighbouring languages, of the distance between iterations


def png(comparison: Comparison, benchmark: Benchmark) -> bytes:
    """The plot as a PNG file's bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    file = BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10})
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.07, 0.13, 0.74, 0.70))
        _draw(axes, comparison, benchmark)
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _draw(axes: Axes, comparison: Comparison, benchmark: Benchmark) -> None:
    _frame(axes, comparison, benchmark)
    last = comparison.models[-1]
    labels = []
    for index, lang in enumerate(benchmark.languages):
        style = _style(comparison, benchmark, lang)
        _curve(axes, comparison, benchmark, lang, style, (index - (len(benchmark.languages) - 1) / 2) * DODGE)
        figures = benchmark.figures[last][lang]
        value = benchmark.points(figures.level.estimate)
        labels.append((value, f"{english_name(lang)} {number(value)}{marks(comparison, last, figures)}", style))
    _label(axes, len(comparison.models) - 1, labels)


def _style(comparison: Comparison, benchmark: Benchmark, lang: str) -> dict[str, Any]:
    """Colour, marker and line of a language, by its place among those of the benchmark."""
    settings = comparison.settings
    if lang == settings.dominant:
        return {"color": DOMINANT, "linewidth": 2.6, "linestyle": "-", "marker": "o", "markersize": 6.5, "zorder": 4}
    index = [other for other in benchmark.languages if other != settings.dominant].index(lang)
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linewidth": 1.9,
        "linestyle": "-" if lang in settings.languages else DASHED,
        "marker": MARKERS[index // len(COLOURS) % len(MARKERS)],
        "markersize": 5.0,
        "zorder": 3,
    }


def _curve(
    axes: Axes, comparison: Comparison, benchmark: Benchmark, lang: str, style: dict[str, Any], shift: float
) -> None:
    levels = [benchmark.figures[model][lang].level for model in comparison.models]
    places = [position + shift for position in range(len(levels))]
    values = [benchmark.points(level.estimate) for level in levels]
    low = [benchmark.points(level.estimate - level.low) for level in levels]
    high = [benchmark.points(level.high - level.estimate) for level in levels]
    axes.errorbar(places, values, yerr=[low, high], fmt="none", ecolor=style["color"], elinewidth=1.1, alpha=0.45)
    axes.plot(places, values, markeredgecolor="white", markeredgewidth=0.8, clip_on=False, **style)


def _frame(axes: Axes, comparison: Comparison, benchmark: Benchmark) -> None:
    from matplotlib.lines import Line2D

    models = comparison.models
    title = f"{benchmark.title} {measure(comparison, benchmark)} by language"
    axes.text(0, 1.13, title, transform=axes.transAxes, fontsize=13.5, fontweight="bold")
    confidence = number(100 * comparison.settings.compare.confidence).removesuffix(".0")
    figures = benchmark.figures[models[0]]
    items = sorted({figures[lang].items for lang in benchmark.languages})
    span = str(items[0]) if len(items) == 1 else f"{items[0]}-{items[-1]}"
    note = f"in %, with {confidence}% intervals; {span} items a language; * differs from m0, † from the model before"
    axes.text(0, 1.065, note, transform=axes.transAxes, fontsize=9.5, color=GREY)
    axes.set_xlim(-0.25, len(models) - 1 + 0.14)
    axes.set_xticks(range(len(models)), models, fontsize=11)
    axes.set_ylim(*_limits(benchmark))
    axes.grid(axis="y", color=FAINT, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=GREY)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    if benchmark.middle is not None:
        axes.axhline(benchmark.middle, zorder=1, **MIDDLE)
    kinds = [
        Line2D([], [], color=DOMINANT, linewidth=3.0, label="dominant"),
        Line2D([], [], color=GREY, linewidth=1.9, label="trained on"),
        Line2D([], [], color=GREY, linewidth=1.9, linestyle=DASHED, label="never trained on (transfer)"),
        *([Line2D([], [], label="as good as the baseline", **MIDDLE)] if benchmark.middle is not None else []),
    ]
    axes.legend(
        handles=kinds,
        loc="upper left",
        bbox_to_anchor=(-0.01, -0.075),
        ncols=len(kinds),
        frameon=False,
        fontsize=9,
        labelcolor=GREY,
        handlelength=2.6,
    )


def _limits(benchmark: Benchmark) -> tuple[float, float]:
    """From a whole ten below the lowest interval to a whole ten above the highest, within 0 and 100."""
    levels = [by_place[lang].level for by_place in benchmark.figures.values() for lang in benchmark.languages]
    low = min(benchmark.points(level.low) for level in levels)
    high = max(benchmark.points(level.high) for level in levels)
    bottom, top = max(0.0, low // 10 * 10), min(100.0, -(-high // 10) * 10)
    return (bottom, top) if top - bottom >= 20 else (max(0.0, bottom - 10), min(100.0, top + 10))


def _label(axes: Axes, x: int, labels: list[tuple[float, str, dict[str, Any]]]) -> None:
    """Each curve's label at its end, moved apart where they would overlap."""
    bottom, top = axes.get_ylim()
    gap = (top - bottom) * 0.047
    ordered = sorted(labels, key=lambda label: label[0])
    heights = spread([value for value, _, _ in ordered], gap, bottom, top)
    for height, (value, text, style) in zip(heights, ordered, strict=True):
        weight = "bold" if style["color"] == DOMINANT else "normal"
        axes.text(x + 0.215, height, text, va="center", fontsize=10, color=style["color"], fontweight=weight)
        leader = ([x + 0.14, x + 0.20], [value, height])
        axes.plot(*leader, color=style["color"], linewidth=0.8, alpha=0.6, clip_on=False)


def spread(values: list[float], gap: float, bottom: float, top: float) -> list[float]:
    """Ascending values, moved as little as it takes to lie `gap` apart between bottom and top.

    >>> spread([10.0, 10.0, 50.0], gap=4.0, bottom=0.0, top=100.0)
    [8.0, 12.0, 50.0]
    """
    groups: list[list[float]] = []  # values that touch lie as one block around their mean
    blocks: list[tuple[float, int]] = []
    for value in values:
        groups.append([value])
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-1][0] - blocks[-2][0] < gap * (blocks[-1][1] + blocks[-2][1]) / 2:
            merged = groups[-2] + groups[-1]
            half = gap * (len(merged) - 1) / 2
            middle = min(max(sum(merged) / len(merged), bottom + half), top - half)
            groups[-2:], blocks[-2:] = [merged], [(middle, len(merged))]
    return [middle + gap * (position - (count - 1) / 2) for middle, count in blocks for position in range(count)]
