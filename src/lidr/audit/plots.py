"""The audit's plots as SVG: what is drawn of a report, and what each mark says to whoever points at it.

    >>> sorted(draw(report))
    ['drops', 'iterations', 'languages', 'lengths', 'reward']

One picture serves the light and the dark theme (`lidr.charts`); the same figures give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from lidr.audit.facts import SIDES, Outcome
from lidr.audit.lengths import Histogram, quantile
from lidr.audit.report import Report
from lidr.charts import Bar, Curve, Interval, Panel, Point, Segment, curves, intervals, picture, stacked, steps
from lidr.records import DropReason
from lidr.svg import SERIES

COIN = 0.5
BINS = 40  # at most, in a histogram
ROW = 28  # pixels for a bar or an interval
TWO = (1.35, 1.0)  # columns: bars by direction, and beside them fewer rows with shorter names

OUTCOMES = {
    Outcome.CHOSEN_ONLY: ("chosen right only", "chosen"),
    Outcome.BOTH: ("both right", "both"),
    Outcome.NEITHER: ("neither", "neither"),
    Outcome.REJECTED_ONLY: ("rejected right only", "rejected"),
    Outcome.UNJUDGED: ("not judged", "unjudged"),
}

# Each flaw has a colour of its own. Nothing is wrong with identical answers, there is just nothing to learn from them.
_FLAWS = [reason for reason in DropReason if reason is not DropReason.IDENTICAL]
REASONS = {DropReason.IDENTICAL.value: "neither"}
REASONS |= {reason.value: f"series-{(1 + i) % SERIES}" for i, reason in enumerate(_FLAWS)}


def draw(report: Report) -> dict[str, str]:
    """All plots by name."""
    return {
        "reward": _reward(report),
        "drops": _drops(report),
        "lengths": _lengths(report),
        "languages": _languages(report),
        "iterations": _iterations(report),
    }


def _reward(report: Report) -> str:
    reward = report.figures["reward"]
    directions = _directions(reward["by_direction"])
    shown = [outcome for outcome in OUTCOMES if _is_shown(outcome, directions.values())]
    bars = [
        _bar(name, [(*OUTCOMES[outcome], row[outcome.value]) for outcome in shown], row["pairs"], "pairs")
        for name, row in directions.items()
    ]
    confidence = report.settings.audit.confidence
    rows = [_interval(name, row, confidence) for name, row in ({"all": reward["all"]} | reward["by_language"]).items()]
    panels = [
        Panel("Which answer is right, share of pairs", lambda box: stacked(box, bars), [OUTCOMES[o] for o in shown]),
        Panel("Reward accuracy (0.5 is a coin)", lambda box: intervals(box, rows, "chosen", COIN)),
    ]
    label = "Which answers of the pairs are right, by direction, and reward accuracy by language"
    return picture(label, panels, ROW * max(len(bars), len(rows)), TWO)


def _is_shown(outcome: Outcome, rows: Iterable[dict[str, Any]]) -> bool:
    """All outcomes are, but where every pair was judged, nobody looks for those that were not."""
    return outcome is not Outcome.UNJUDGED or any(row[outcome.value] for row in rows)


def _interval(name: str, row: dict[str, Any], confidence: float) -> Interval:
    decided = row[Outcome.CHOSEN_ONLY.value] + row[Outcome.REJECTED_ONLY.value]
    if "accuracy" not in row:
        return Interval(name, f"not measured: in none of {row['pairs']:,} pairs is just one answer right")
    found = f"{row['accuracy']:.3f}, {confidence:.0%} interval {row['low']:.3f} to {row['high']:.3f}"
    tip = f"{found}, of {decided:,} pairs with just one right answer"
    return Interval(name, tip, row["accuracy"], row["low"], row["high"])


def _drops(report: Report) -> str:
    counts = report.figures["counts"]
    reasons = [reason.value for reason in DropReason if counts["by_reason"].get(reason.value)]
    bars = [
        _bar(name, [(reason, REASONS[reason], row.get(reason, 0)) for reason in reasons], row["prompts"], "prompts")
        for name, row in _directions(counts["by_direction"]).items()
    ]
    quarters = report.figures["lengths"]["drops"]["quarters"].values()
    by_length = [_quarter(quarter, reasons, counts["directions"]) for quarter in quarters]
    legend = [(reason, REASONS[reason]) for reason in reasons]
    panels = [
        Panel("Share of prompts dropped, by direction", lambda box: stacked(box, bars, whole=False), legend),
        Panel("By length of the dominant answer", lambda box: stacked(box, by_length, whole=False)),
    ]
    label = "Share of prompts dropped, by direction and by length of the dominant answer"
    return picture(label, panels, ROW * max(len(bars), len(by_length)), TWO)


def _quarter(quarter: dict[str, Any], reasons: list[str], directions: int) -> Bar:
    """Only shares are known of a quarter: they are of its prompts in all directions."""
    of = f"of {quarter['prompts']:,} prompts x {directions} directions"
    shares = [(reason, quarter.get(reason, 0.0)) for reason in reasons]
    segments = [Segment(share, REASONS[reason], f"{reason}: {share:.1%} {of}") for reason, share in shares]
    return Bar(f"{quarter['from']:,} to {quarter['to']:,}", segments, "none")


def _lengths(report: Report) -> str:
    together: Histogram = Counter()
    for one in report.histograms.values():
        together.update(one)
    longest = quantile(together, 0.99) + 1 if together else 1
    # Whole numbers of characters to a bin: if some held one length more than others, there would be a comb.
    width = -(-longest // BINS)
    bins = -(-longest // width)
    languages = report.settings.all_languages
    panels = [_lengths_in(report, lang, bins, width) for lang in languages]
    columns = (1.0,) * min(3, len(languages))
    legend = [(side, side) for side in SIDES]
    caption = "characters; the last bar holds the longest hundredth"
    return picture("Lengths of chosen and rejected answers by language", panels, 126, columns, legend, caption)


def _lengths_in(report: Report, lang: str, bins: int, width: int) -> Panel:
    counts = {side: [0] * bins for side in SIDES}
    for side in SIDES:
        for length, count in report.histograms.get((lang, side), Counter()).items():
            counts[side][min(length // width, bins - 1)] += count
    tips = []
    for i in range(bins):
        start, end = i * width, (i + 1) * width - 1
        range_ = f"{start:,} or more" if i == bins - 1 else f"{start:,} to {end:,}" if width > 1 else f"{start:,}"
        tips.append(f"{lang} · {range_} characters: " + ", ".join(f"{counts[side][i]:,} {side}" for side in SIDES))
    return Panel(lang, lambda box: steps(box, [(side, counts[side]) for side in SIDES], width, tips))


def _languages(report: Report) -> str:
    bars = []
    for lang, by_side in report.figures["languages"].items():
        for side in SIDES:
            row = by_side[side]
            parts = [
                ("the pair's language", "chosen", row["judged"] - row["off_target"]),
                ("another language", "rejected", row["off_target"]),
                ("too short to judge", "neither", row["unknown"]),
            ]
            bars.append(_bar(f"{lang} {side}", parts, row["judged"] + row["unknown"], "pairs"))
    legend = [("the pair's language", "chosen"), ("another language", "rejected"), ("too short to judge", "neither")]
    panel = Panel("Language of the answers, share of pairs", lambda box: stacked(box, bars), legend)
    return picture("Language of chosen and rejected answers, share of pairs", [panel], ROW * len(bars))


def _iterations(report: Report) -> str:
    history = report.figures["history"]
    lines, legend = [], []
    for index, lang in enumerate(report.settings.all_languages):
        rows = [(place, name, row[lang]) for place, (name, row) in enumerate(history.items()) if lang in row]
        if rows:
            colour = f"series-{index % SERIES}"
            lines.append(Curve(colour, [_point(lang, *row) for row in rows]))
            legend.append((lang, colour))
    title = "Reward accuracy over iterations (dotted: a coin)"
    panel = Panel(title, lambda box: curves(box, list(history), lines, COIN), legend)
    return picture("Reward accuracy over iterations by language", [panel], 250)


def _point(lang: str, place: int, iteration: str, row: dict[str, Any]) -> Point:
    tip = f"{lang} in {iteration}: {row['accuracy']:.3f}, interval {row['low']:.3f} to {row['high']:.3f}"
    return Point(place, row["accuracy"], row["low"], row["high"], tip)


def _directions(rows: dict[str, Any]) -> dict[str, Any]:
    return {name.replace(":", " against "): row for name, row in rows.items()}


def _bar(name: str, parts: list[tuple[str, str, int]], total: int, what: str) -> Bar:
    """Counts, each with its label and colour, as shares of the total."""
    segments = [
        Segment(count / max(total, 1), colour, f"{label}: {count:,} of {total:,} {what} ({count / max(total, 1):.1%})")
        for label, colour, count in parts
    ]
    return Bar(name, segments, "none" if total else f"no {what}")
