"""The audit's plots as PNG bytes: the same figures, the same bytes.

    >>> sorted(draw(report, LIGHT))
    ['drops', 'iterations', 'languages', 'lengths', 'reward']

The style is matplotlib's default whatever the user's own, the font is the one that it ships, and no date or version is
written into a file. The page holds each plot in light and in dark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from lidr.audit.facts import SIDES, Outcome
from lidr.audit.lengths import Histogram, quantile
from lidr.audit.report import Report
from lidr.records import DropReason

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI, WIDTH = 150, 9.6
BINS = 40


@dataclass(frozen=True)
class Theme:
    """Colours of a plot: ground, text, soft text, lines, chosen, rejected, and a scale for what is neither."""

    ground: str
    text: str
    soft: str
    line: str
    chosen: str
    rejected: str
    both: str
    neither: str
    unjudged: str
    series: tuple[str, ...]


# Okabe and Ito's and Paul Tol's colours, which colour-blind readers can tell apart.
LIGHT = Theme(
    ground="#ffffff",
    text="#1c2430",
    soft="#5d6878",
    line="#e2e6ec",
    chosen="#0f7d6b",
    rejected="#c8551b",
    both="#9fd3c7",
    neither="#c9ced6",
    unjudged="#eceff3",
    series=("#1c2430", "#CC6677", "#4477AA", "#228833", "#DDAA33", "#66AADD", "#AA4499", "#882255", "#999933"),
)
DARK = Theme(
    ground="#1b2129",
    text="#e4e8ee",
    soft="#98a3b3",
    line="#2d3542",
    chosen="#3fbf9f",
    rejected="#f0824a",
    both="#22695a",
    neither="#4b5564",
    unjudged="#2d3542",
    series=("#e4e8ee", "#EE8899", "#77AADD", "#55BB66", "#EECC66", "#99DDFF", "#DD88CC", "#CC6699", "#CCCC66"),
)


def draw(report: Report, theme: Theme) -> dict[str, bytes]:
    """All plots by name."""
    painters: dict[str, Callable[[Report, Theme], Figure]] = {
        "reward": _reward,
        "drops": _drops,
        "lengths": _lengths,
        "languages": _languages,
        "iterations": _iterations,
    }
    import matplotlib

    plots = {}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_style(theme))
        for name, paint in painters.items():
            file = BytesIO()
            paint(report, theme).savefig(file, format="png", metadata={"Software": None})
            plots[name] = file.getvalue()
    return plots


def _style(theme: Theme) -> Any:
    return {
        "font.family": "DejaVu Sans",
        "font.size": 9.5,
        "figure.facecolor": theme.ground,
        "savefig.facecolor": theme.ground,
        "axes.facecolor": theme.ground,
        "axes.edgecolor": theme.line,
        "axes.labelcolor": theme.soft,
        "axes.titlecolor": theme.text,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "grid.color": theme.line,
        "text.color": theme.text,
        "xtick.color": theme.soft,
        "ytick.color": theme.text,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "legend.fontsize": 9,
    }


def _figure(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _reward(report: Report, theme: Theme) -> Figure:
    reward = report.figures["reward"]
    directions = {name.replace(":", " against "): row for name, row in reward["by_direction"].items()}
    figure, axes = _figure(1.9 + 0.34 * len(directions), 1, 2, gridspec_kw={"width_ratios": [1.35, 1]})
    parts = (
        ("chosen right only", Outcome.CHOSEN_ONLY, theme.chosen),
        ("both right", Outcome.BOTH, theme.both),
        ("neither", Outcome.NEITHER, theme.neither),
        ("rejected right only", Outcome.REJECTED_ONLY, theme.rejected),
        ("not judged", Outcome.UNJUDGED, theme.unjudged),
    )
    bars = [
        (label, colour, [row[outcome.value] / max(row["pairs"], 1) for row in directions.values()])
        for label, outcome, colour in parts
        if outcome is not Outcome.UNJUDGED or any(row["unjudged"] for row in directions.values())
    ]
    _stacked(axes[0, 0], list(directions), bars, "Which answer is right, share of pairs")
    groups = {"all": reward["all"]} | reward["by_language"]
    _intervals(axes[0, 1], theme, groups, "Reward accuracy (0.5 is a coin)")
    return figure


def _drops(report: Report, theme: Theme) -> Figure:
    counts = report.figures["counts"]
    directions = {name.replace(":", " against "): row for name, row in counts["by_direction"].items()}
    quarters = report.figures["lengths"]["drops"]["quarters"]
    figure, axes = _figure(1.9 + 0.34 * len(directions), 1, 2, gridspec_kw={"width_ratios": [1.35, 1]})
    reasons = [reason.value for reason in DropReason if counts["by_reason"].get(reason.value)]
    colours = {reason.value: theme.series[1:][i % 8] for i, reason in enumerate(DropReason)}
    # Nothing is wrong with these: both answers are the same, so there is nothing to learn.
    colours[DropReason.IDENTICAL.value] = theme.neither
    bars = [
        (reason, colours[reason], [row.get(reason, 0) / max(row["prompts"], 1) for row in directions.values()])
        for reason in reasons
    ]
    _stacked(axes[0, 0], list(directions), bars, "Share of prompts dropped, by direction", whole=False)
    names = [f"{quarter['from']:,} to {quarter['to']:,}" for quarter in quarters.values()]
    bars = [(r, colours[r], [quarter.get(r, 0.0) for quarter in quarters.values()]) for r in reasons]
    _stacked(axes[0, 1], names, bars, "By length of the dominant answer", whole=False, legend=False)
    return figure


def _lengths(report: Report, theme: Theme) -> Figure:
    languages = report.settings.all_languages
    columns = min(3, len(languages))
    rows = -(-len(languages) // columns)
    figure, axes = _figure(0.9 + 1.75 * rows, rows, columns, sharex=True)
    together: Histogram = Counter()
    for one in report.histograms.values():
        together.update(one)
    longest = quantile(together, 0.99) + 1 if together else 1
    for index, axis in enumerate(axes.flat):
        if index >= len(languages):
            axis.set_visible(False)
            continue
        lang = languages[index]
        for side in SIDES:
            histogram = report.histograms.get((lang, side), Counter())
            edges = [longest * i / BINS for i in range(BINS + 1)]
            heights = [0] * BINS
            for length, count in histogram.items():
                heights[min(int(length * BINS / longest), BINS - 1)] += count
            axis.stairs(heights, edges, color=getattr(theme, side), fill=True, alpha=0.25)
            axis.stairs(heights, edges, color=getattr(theme, side), linewidth=1.4, label=side)
        axis.set_title(lang)
        axis.set_yticks([])
        axis.set_xlim(0, longest)
        axis.xaxis.set_tick_params(labelbottom=True)
        axis.locator_params(axis="x", nbins=5)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2)
    figure.supxlabel("characters; the last bar holds the longest hundredth", fontsize=9, color=theme.soft)
    return figure


def _languages(report: Report, theme: Theme) -> Figure:
    languages = report.figures["languages"]
    rows = {f"{lang} {side}": (lang, by_side[side]) for lang, by_side in languages.items() for side in SIDES}
    figure, axes = _figure(1.5 + 0.27 * len(rows))

    def shares(count: Callable[[str, dict[str, Any]], int]) -> list[float]:
        return [count(lang, row) / max(row["judged"] + row["unknown"], 1) for lang, row in rows.values()]

    bars = [
        ("the pair's language", theme.chosen, shares(lambda _, row: row["judged"] - row["off_target"])),
        ("another language", theme.rejected, shares(lambda _, row: row["off_target"])),
        ("too short to judge", theme.neither, shares(lambda _, row: row["unknown"])),
    ]
    _stacked(axes[0, 0], list(rows), bars, "Language of the answers, share of pairs")
    return figure


def _iterations(report: Report, theme: Theme) -> Figure:
    history = report.figures["history"]
    figure, axes = _figure(3.4)
    axis = axes[0, 0]
    for index, lang in enumerate(report.settings.all_languages):
        points = [(place, row[lang]) for place, row in enumerate(history.values()) if lang in row]
        if not points:
            continue
        colour, shift = theme.series[index % len(theme.series)], 0.02 * (index - len(report.settings.languages) / 2)
        places = [place + shift for place, _ in points]
        values = [row["accuracy"] for _, row in points]
        errors = [[r["accuracy"] - r["low"] for _, r in points], [r["high"] - r["accuracy"] for _, r in points]]
        axis.errorbar(places, values, yerr=errors, fmt="none", ecolor=colour, alpha=0.5, elinewidth=1.1)
        axis.plot(places, values, "o-", color=colour, label=lang, linewidth=2 if index == 0 else 1.5, markersize=5)
    axis.axhline(0.5, color=theme.soft, linewidth=1, linestyle=(0, (1, 2)))
    axis.set_xticks(range(len(history)), list(history))
    axis.set_xlim(-0.4, len(history) - 0.6)
    axis.set_ylim(0, 1.03)
    axis.grid(axis="y")
    axis.set_title("Reward accuracy over iterations (dotted: a coin)")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _stacked(
    axis: Axes,
    names: list[str],
    bars: list[tuple[str, str, list[float]]],
    title: str,
    whole: bool = True,
    legend: bool = True,
) -> None:
    """Horizontal bars, each a stack of shares; the first name on top."""
    places = range(len(names))
    left = [0.0] * len(names)
    for label, colour, widths in bars:
        axis.barh(places, widths, left=left, color=colour, label=label, height=0.72)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set_xlim(0, 1 if whole else max(max(left, default=0.0) * 1.05, 0.01))
    axis.xaxis.set_major_formatter("{x:.0%}" if whole or max(left, default=0.0) > 0.05 else "{x:.1%}")
    axis.locator_params(axis="x", nbins=6)
    axis.grid(axis="x")
    axis.set_title(title)
    if legend and bars:
        axis.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.09), ncols=4, handlelength=1, columnspacing=1)


def _intervals(axis: Axes, theme: Theme, rows: dict[str, dict[str, Any]], title: str) -> None:
    axis.axvline(0.5, color=theme.soft, linewidth=1, linestyle=(0, (1, 2)))
    for place, row in enumerate(rows.values()):
        if "accuracy" not in row:
            axis.text(0.52, place, "not measured", color=theme.soft, va="center", fontsize=8.5)
            continue
        axis.plot([row["low"], row["high"]], [place, place], color=theme.chosen, linewidth=5, alpha=0.3)
        axis.plot([row["accuracy"]], [place], "o", color=theme.chosen, markersize=7)
        axis.text(1.03, place, f"{row['accuracy']:.2f}", va="center", fontsize=9)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlim(0, 1)
    axis.grid(axis="x")
    axis.set_title(title)
