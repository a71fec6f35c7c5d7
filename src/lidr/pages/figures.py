"""SVG plots by matplotlib in the style of templates/lidr.mplstyle: bars, intervals, histograms and curves.

A plot is a file or is embedded in a page: texts stay text, ids are unique on a page, and marks have tooltips (SVG
titles) with exact figures. The same data give the same bytes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lidr.pages import shown

# Colours by meaning. Green and orange can be told apart by colour-blind readers.
CHOSEN, REJECTED, BOTH, NEUTRAL, UNKNOWN = "#0f7d6b", "#c8551b", "#9fd3c7", "#c9ced6", "#eceff3"
SOFT = "#5d6878"
STRONGEST, SERIES = "C0", 10  # the dominant language's colour, and the number of the style's colours

WIDTH, ROW, AROUND = 9.6, 0.28, 1.15  # inches: the plot's width, a bar's height, the space above and below bars
THICKNESS = 0.72  # of a row
SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True)
class Segment:
    """A share of a bar, with a tooltip."""

    share: float
    colour: str
    tip: str


@dataclass(frozen=True)
class Bar:
    """A bar of segments; the note is shown if all are empty."""

    name: str
    segments: Sequence[Segment]
    note: str = ""


@dataclass(frozen=True)
class Point:
    """A value with its interval at a position of the horizontal axis; without a value only the tip is shown."""

    place: int
    value: float | None
    low: float
    high: float
    tip: str


@dataclass(frozen=True)
class Curve:
    """Points joined from left to right; hollow markers distinguish the second use of a colour."""

    label: str
    colour: str
    points: Sequence[Point]
    dashed: bool = False
    hollow: bool = False


def render(
    label: str,
    paint: Callable[[Canvas], None],
    rows: int = 0,
    height: float = 0.0,
    columns: Sequence[float] = (1.0,),
    lines: int = 1,
) -> str:
    """The SVG that `paint` draws on a grid of axes, with `lines` lines and columns of these relative widths.

    The height is in inches; by default it follows from the number of bars.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the viewer has fonts for it
        matplotlib.rc_file(Path(__file__).parents[1] / "templates" / "lidr.mplstyle")
        matplotlib.rcParams["svg.hashsalt"] = label
        figure = Figure(figsize=(WIDTH, height or AROUND + ROW * max(rows, 2)))
        grid = figure.subplots(lines, len(columns), squeeze=False, width_ratios=columns)
        canvas = Canvas(figure, list(grid.flat), rows)
        paint(canvas)
        written = BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return _finished(ElementTree.fromstring(written.getvalue()), label, canvas.tips)


class Canvas:
    """A plot in progress: its axes and tooltips."""

    def __init__(self, figure: Any, axes: list[Any], rows: int) -> None:
        self.figure, self.axes, self._rows = figure, axes, rows
        self.tips: dict[str, str] = {}

    def tell(self, artist: Any, tip: str) -> None:
        """Give the artist a tooltip."""
        name = f"tip-{len(self.tips)}"
        artist.set_gid(name)
        self.tips[name] = shown(tip)

    def legend(self, entries: Sequence[tuple[str, str]], columns: int = 5) -> None:
        """Add a legend of colours below all axes."""
        from matplotlib.patches import Patch

        handles = [Patch(color=colour, label=shown(name)) for name, colour in entries]
        if handles:
            self.figure.legend(handles=handles, loc="outside lower left", ncols=columns, handlelength=1.0)

    def line_legend(self, entries: Sequence[tuple[str, str, Any]]) -> None:
        """Add a legend of lines, (name, colour, line style) each, below all axes."""
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=colour, linestyle=style, label=name) for name, colour, style in entries]
        self.figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))

    def titles(self, axes: Any, title: str, remark: str) -> None:
        """Add a title above the plot and a smaller line above the axes."""
        self.figure.suptitle(shown(title), x=0.012, ha="left", fontsize=11, fontweight="bold")
        axes.set_title(shown(remark), color=SOFT, fontsize=8, fontweight="normal")

    def stacked(self, axes: Any, title: str, bars: Sequence[Bar], whole: bool = True) -> None:
        """Draw stacked horizontal bars, the first on top; the axis ends at 100%, or just beyond the longest bar."""
        from matplotlib.ticker import PercentFormatter

        self._names(axes, title, [bar.name for bar in bars])
        longest = max((sum(segment.share for segment in bar.segments) for bar in bars), default=0.0)
        axes.set_xlim(0, 1.0 if whole else max(longest * 1.05, 0.01))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        for row, bar in enumerate(bars):
            start = 0.0
            for segment in bar.segments:
                if segment.share > 0:
                    thickness = THICKNESS * min(1.0, len(bars) / max(self._rows, 1))
                    (patch,) = axes.barh(row, segment.share, thickness, start, color=segment.colour)
                    self.tell(patch, f"{bar.name} · {segment.tip}")
                start += segment.share
            if bar.note and not start:
                axes.text(0.01, row, shown(bar.note), color=SOFT, va="center", transform=axes.get_yaxis_transform())

    def intervals(self, axes: Any, title: str, rows: Sequence[tuple[str, Point]], reference: float) -> None:
        """Draw a value between 0 and 1 with its interval in each row, and a dotted line at the reference."""
        self._names(axes, title, [name for name, _ in rows])
        axes.set_xlim(0, 1)
        axes.axvline(reference, color=SOFT, linestyle=":")
        for row, (name, point) in enumerate(rows):
            across = axes.get_yaxis_transform()
            if point.value is None:
                text = axes.text(reference + 0.02, row, "not measured", color=SOFT, va="center", transform=across)
                self.tell(text, f"{name} · {point.tip}")
                continue
            (band,) = axes.plot([point.low, point.high], [row, row], color=CHOSEN, linewidth=5, alpha=0.3)
            (dot,) = axes.plot([point.value], [row], "o", color=CHOSEN, markersize=6.5)
            for artist in (band, dot):
                self.tell(artist, f"{name} · {point.tip}")
            axes.text(1.03, row, f"{point.value:.2f}", va="center", transform=across)

    def histograms(
        self, axes: Any, title: str, outlines: Sequence[tuple[str, Sequence[int]]], width: int, tips: Sequence[str]
    ) -> None:
        """Draw overlaid histograms, (colour, counts) each, with bins of this width and a tooltip per bin."""
        from matplotlib.ticker import MaxNLocator, StrMethodFormatter

        axes.set_title(shown(title))
        axes.set_yticks([])
        highest = max((count for _, counts in outlines for count in counts), default=0)
        if not highest:
            return self._note(axes, "no data")
        axes.grid(False)
        axes.set_xlim(0, len(tips) * width)
        axes.set_ylim(0, 1.05 * highest)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        edges = [i * width for i in range(len(tips) + 1)]
        for colour, counts in outlines:
            axes.stairs(counts, edges, fill=True, color=colour, alpha=0.25)
            axes.stairs(counts, edges, color=colour, linewidth=1.2)
        for i, tip in enumerate(tips):
            if any(counts[i] for _, counts in outlines):
                (target,) = axes.bar(edges[i], 1.05 * highest, width, align="edge", alpha=0.0)
                self.tell(target, tip)
        return None

    def curves(self, axes: Any, places: Sequence[str], lines: Sequence[Curve], reference: float | None) -> None:
        """Draw curves with error bars over named places, slightly shifted sideways, and a dotted reference line.

        The legend is at the right, in the order of the curves' last values.
        """
        from matplotlib.ticker import MaxNLocator

        axes.set_xticks(range(len(places)), [shown(place) for place in places], fontsize=9)
        axes.set_xlim(-0.4, len(places) - 0.6)
        axes.grid(axis="x", visible=False)
        if not any(line.points for line in lines):
            return self._note(axes, "not measured")
        axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        if reference is not None:
            axes.axhline(reference, color=SOFT, linestyle=":")
        beside = min(0.03, 0.5 / len(lines))
        handles: list[tuple[float, Any]] = []
        for i, line in enumerate(lines):
            shift = beside * (i - (len(lines) - 1) / 2)
            width = 2.2 if line.colour == STRONGEST else 1.5
            style = {"color": line.colour, "linestyle": "--" if line.dashed else "-", "linewidth": width}
            style |= {"marker": "o", "markerfacecolor": "white" if line.hollow else line.colour}
            if not line.points:
                continue
            across, values = [point.place + shift for point in line.points], [point.value for point in line.points]
            (drawn,) = axes.plot(across, values, label=shown(line.label), **style)
            handles.append((-float(values[-1] or 0.0), drawn))
            for x, point in zip(across, line.points, strict=True):
                (bar,) = axes.plot([x, x], [point.low, point.high], color=line.colour, linewidth=1.1, alpha=0.55)
                (dot,) = axes.plot([x], [point.value], zorder=3, **style)
                for artist in (bar, dot):
                    self.tell(artist, point.tip)
        handles.sort(key=lambda handle: handle[0])
        axes.legend(handles=[drawn for _, drawn in handles], loc="center left", bbox_to_anchor=(1.01, 0.5))
        return None

    def _names(self, axes: Any, title: str, names: Sequence[str]) -> None:
        """Set the title and the names of rows, the first on top."""
        axes.set_title(shown(title))
        axes.grid(axis="y", visible=False)
        axes.set_yticks(range(len(names)), [shown(name) for name in names])
        axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
        if not names:
            self._note(axes, "no data")

    def _note(self, axes: Any, text: str) -> None:
        """Write a note in the middle of empty axes."""
        axes.grid(False)
        axes.text(0.5, 0.5, text, color=SOFT, ha="center", va="center", transform=axes.transAxes)


def _finished(root: ElementTree.Element, label: str, tips: dict[str, str]) -> str:
    """The SVG with label and tooltips, without unused ids."""
    for element in root.findall(f"{{{SVG}}}metadata"):
        root.remove(element)
    used = set(re.findall(r"#([\w.-]+)", " ".join(value for one in root.iter() for value in one.attrib.values())))
    for element in root.iter():
        name = element.get("id", "")
        if name in tips:
            title = ElementTree.Element(f"{{{SVG}}}title")
            title.text = tips[name]
            element.insert(0, title)
        if name not in used:
            element.attrib.pop("id", None)
    root.set("role", "img")
    root.set("aria-label", shown(label))
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ElementTree.tostring(root, encoding="unicode") + "\n"
