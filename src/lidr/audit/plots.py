"""The audit's figures as SVG, with a tooltip on each mark."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import TYPE_CHECKING, Any

from lidr.audit import facts
from lidr.audit.facts import PAIR, SIDES, UNJUDGED
from lidr.audit.report import Report
from lidr.pages.figures import (
    BOTH,
    CHOSEN,
    NEUTRAL,
    REJECTED,
    SERIES,
    UNKNOWN,
    Bar,
    Canvas,
    Curve,
    Point,
    Segment,
    render,
)

if TYPE_CHECKING:
    from numpy import ndarray

COIN = 0.5
BINS = 40  # at most, in a histogram
TWO = (1.35, 1.0)  # columns: bars by direction, and beside them fewer rows with shorter names
COLOURS = {"chosen": CHOSEN, "rejected": REJECTED}

# Label and colour.
OUTCOMES = {
    "chosen_only": ("chosen right only", CHOSEN),
    "both": ("both right", BOTH),
    "neither": ("neither right", NEUTRAL),
    "rejected_only": ("rejected right only", REJECTED),
    UNJUDGED: ("not judged", UNKNOWN),
}


def draw(report: Report) -> dict[str, str]:
    """All plots by name."""
    plots = {
        "reward": _reward,
        "drops": _drops,
        "lengths": _lengths,
        "languages": _languages,
        "iterations": _iterations,
    }
    return {name: plot(report) for name, plot in plots.items()}


def _reward(report: Report) -> str:
    reward = report.figures["reward"]
    directions = _directions(reward["by_direction"])
    # Where every pair was judged, nobody looks for those that were not.
    shown = [one for one in OUTCOMES if one != UNJUDGED or any(row[UNJUDGED] for row in directions.values())]
    bars = [
        _bar(name, [(*OUTCOMES[outcome], row[outcome]) for outcome in shown], row["pairs"], "pairs")
        for name, row in directions.items()
    ]
    confidence = report.settings.audit.confidence
    rows = [_interval(name, row, confidence) for name, row in ({"all": reward["all"]} | reward["by_language"]).items()]

    def paint(canvas: Canvas) -> None:
        left, right = canvas.axes
        canvas.stacked(left, "Which answer is right, share of pairs", bars)
        canvas.intervals(right, "Reward accuracy (0.5 is chance)", rows, COIN)
        canvas.legend([OUTCOMES[outcome] for outcome in shown])

    label = "Which answers of the pairs are right, by direction, and reward accuracy by language"
    return render(label, paint, max(len(bars), len(rows)), columns=TWO)


def _interval(name: str, row: dict[str, Any], confidence: float) -> tuple[str, Point]:
    decided = row["chosen_only"] + row["rejected_only"]
    if "accuracy" not in row:
        tip = f"not measured: in none of {row['pairs']:,} pairs is just one answer right"
        return name, Point(0, None, 0.0, 0.0, tip)
    found = f"{row['accuracy']:.3f}, {confidence:.0%} interval {row['low']:.3f} to {row['high']:.3f}"
    tip = f"{found}, of {decided:,} pairs with just one right answer"
    return name, Point(0, row["accuracy"], row["low"], row["high"], tip)


def _drops(report: Report) -> str:
    counts = report.figures["counts"]
    reasons = colours(counts["by_reason"])
    bars = [
        _bar(name, [(reason, reasons[reason], row.get(reason, 0)) for reason in reasons], row["prompts"], "prompts")
        for name, row in _directions(counts["by_direction"]).items()
    ]
    quarters = report.figures["lengths"]["drops"]["quarters"].values()
    by_length = [_quarter(quarter, reasons, counts["directions"]) for quarter in quarters]

    def paint(canvas: Canvas) -> None:
        left, right = canvas.axes
        canvas.stacked(left, "Share of prompts dropped, by direction", bars, whole=False)
        canvas.stacked(right, "By length of the dominant answer", by_length, whole=False)
        canvas.legend(list(reasons.items()))

    label = "Share of prompts dropped, by direction and by length of the dominant answer"
    return render(label, paint, max(len(bars), len(by_length)), columns=TWO)


def colours(reasons: Iterable[str]) -> dict[str, str]:
    """Of each reason; identical ones are grey: nothing is wrong with them, there is just nothing to learn."""
    flaws = sorted(set(reasons) - {"identical"})
    # The style has nine colours beside that of the dominant language; a tenth reason begins with the first again.
    found = {reason: f"C{1 + i % (SERIES - 1)}" for i, reason in enumerate(flaws)}
    return {reason: found.get(reason, NEUTRAL) for reason in sorted(reasons)}


def _quarter(quarter: dict[str, Any], reasons: dict[str, str], directions: int) -> Bar:
    """Only shares are known of a quarter: they are of its prompts in all directions."""
    of = f"of {quarter['prompts']:,} prompts x {directions} directions"
    shares = [(reason, quarter.get(reason, 0.0)) for reason in reasons]
    segments = [Segment(share, reasons[reason], f"{reason}: {share:.1%} {of}") for reason, share in shares]
    return Bar(f"{quarter['from']:,} to {quarter['to']:,}", segments, "none")


def _lengths(report: Report) -> str:
    import numpy

    frame = facts.frame(report.facts)
    pairs = frame[frame["outcome"] == PAIR]
    lengths = {side: pairs[f"{side}_characters"].to_numpy(dtype="int64") for side in SIDES}
    together = numpy.sort(numpy.concatenate(list(lengths.values())))
    longest = int(together[ceil(0.99 * len(together)) - 1]) + 1 if len(together) else 1
    # Whole numbers of characters to a bin: if some held one length more than others, there would be a comb.
    width = -(-longest // BINS)
    bins = -(-longest // width)
    languages = report.settings.all_languages
    columns = min(3, len(languages))
    lines = -(-len(languages) // columns)

    def paint(canvas: Canvas) -> None:
        for axes in canvas.axes[len(languages) :]:
            axes.set_visible(False)
        for axes, lang in zip(canvas.axes, languages, strict=False):
            _lengths_in(canvas, axes, {side: lengths[side][pairs["lang"] == lang] for side in SIDES}, lang, bins, width)
        canvas.figure.supxlabel("characters; the last bar holds the longest hundredth", fontsize=8)
        canvas.legend(list(COLOURS.items()))

    label = "Lengths of chosen and rejected answers by language"
    return render(label, paint, height=0.6 + 1.6 * lines, columns=(1.0,) * columns, lines=lines)


def _lengths_in(canvas: Canvas, axes: Any, lengths: dict[str, ndarray], lang: str, bins: int, width: int) -> None:
    import numpy

    counts = {
        side: numpy.bincount(numpy.minimum(found // width, bins - 1), minlength=bins).tolist()
        for side, found in lengths.items()
    }
    tips = []
    for i in range(bins):
        start, end = i * width, (i + 1) * width - 1
        range_ = f"{start:,} or more" if i == bins - 1 else f"{start:,} to {end:,}" if width > 1 else f"{start:,}"
        tips.append(f"{lang} · {range_} characters: " + ", ".join(f"{counts[side][i]:,} {side}" for side in SIDES))
    canvas.histograms(axes, lang, [(COLOURS[side], counts[side]) for side in SIDES], width, tips)


def _languages(report: Report) -> str:
    legend = [("the pair's language", CHOSEN), ("another language", REJECTED), ("too short to judge", NEUTRAL)]
    bars = []
    for lang, by_side in report.figures["languages"].items():
        for side, row in by_side.items():
            counts = (row["judged"] - row["off_target"], row["off_target"], row["unknown"])
            parts = [(*entry, count) for entry, count in zip(legend, counts, strict=True)]
            bars.append(_bar(f"{lang} {side}", parts, sum(counts), "pairs"))

    def paint(canvas: Canvas) -> None:
        canvas.stacked(canvas.axes[0], "Language of the answers, share of pairs", bars)
        canvas.legend(legend)

    return render("Language of chosen and rejected answers, share of pairs", paint, len(bars))


def _iterations(report: Report) -> str:
    history = report.figures["history"]
    lines = []
    for index, lang in enumerate(report.settings.all_languages):
        points = []
        for place, (name, row) in enumerate(history.items()):
            if found := row.get(lang):
                tip = f"{lang} in {name}: {found['accuracy']:.3f}, interval {found['low']:.3f} to {found['high']:.3f}"
                points.append(Point(place, found["accuracy"], found["low"], found["high"], tip))
        if points:
            lines.append(Curve(lang, f"C{index % SERIES}", points))

    def paint(canvas: Canvas) -> None:
        (axes,) = canvas.axes
        axes.set_title("Reward accuracy over iterations (dotted: a coin)")
        axes.set_ylim(0, 1)
        canvas.curves(axes, list(history), lines, COIN)

    return render("Reward accuracy over iterations by language", paint, height=3.2)


def _directions(rows: dict[str, Any]) -> dict[str, Any]:
    return {name.replace(":", " against "): row for name, row in rows.items()}


def _bar(name: str, parts: list[tuple[str, str, int]], total: int, what: str) -> Bar:
    """Counts, each with its label and colour, as shares of the total."""
    segments = [
        Segment(count / max(total, 1), colour, f"{label}: {count:,} of {total:,} {what} ({count / max(total, 1):.1%})")
        for label, colour, count in parts
    ]
    return Bar(name, segments, "none" if total else f"no {what}")
