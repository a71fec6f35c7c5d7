"""Charts as SVG text that we write ourselves: no library to load, and a page full of them in milliseconds.

    >>> bars = [Bar("es", [Segment(0.75, "chosen", "right: 3 of 4"), Segment(0.25, "neither", "wrong: 1 of 4")])]
    >>> panel = Panel("Answers", lambda box: stacked(box, bars), legend=[("right", "chosen"), ("wrong", "neither")])
    >>> picture("Which answers are right", [panel], height=28)
    '<svg width="960" height="..." xmlns="http://www.w3.org/2000/svg" ...>...</svg>\n'

A `picture` sets panels side by side; a panel has a title, a drawing and a legend, and the drawing is one of `stacked`,
`intervals`, `steps` and `curves`. One picture serves a light and a dark theme, for it names colours of `svg.PALETTE`
and leaves to the viewer's theme which those are. Whoever points at a mark is told its exact figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import floor, log10

from lidr.svg import SIZE, SMALL, document, element, fitted, number, text_width, title, words

# In pixels of a picture shown at its full width.
WIDTH, MARGIN, BETWEEN = 960, 24, 40
TITLE, AXIS, LINE = 30, 26, 22  # room for a panel's title, the numbers of an axis, a line of a legend
THICKEST = 20  # bar
NAMES = 0.45  # share of a drawing's width that names may take; longer ones are cut
LEADER = 26  # from the end of a curve to its label, and how long a line is in a legend
STRONGEST = "series-0"  # whose curve is thicker, and its label bold
DASHED = "7 4"


@dataclass(frozen=True)
class Box:
    """Where something is drawn; shares of its width count from the left, of its height from the bottom."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def across(self, share: float) -> float:
        return self.left + self.width * share

    def up(self, share: float) -> float:
        return self.bottom - self.height * share


@dataclass(frozen=True)
class Line:
    """What a line looks like, for a legend."""

    colour: str
    look: str = "curve"
    dashes: str = ""


Legend = Sequence[tuple[str, str | Line]]  # what, and its colour or line


@dataclass(frozen=True)
class Panel:
    """A titled drawing, with a remark under the title; numbers of its axis and the legend stand below its box."""

    title: str
    draw: Callable[[Box], list[str]]
    legend: Legend = ()
    remark: str = ""


@dataclass(frozen=True)
class Segment:
    """A share of a bar, and what it is in words and exact figures."""

    share: float
    colour: str
    tip: str


@dataclass(frozen=True)
class Bar:
    """A row of segments; the note stands where there is nothing to be seen of them."""

    name: str
    segments: Sequence[Segment]
    note: str = ""


@dataclass(frozen=True)
class Interval:
    """A value from 0 to 1 with its bounds; without a value the tip is all there is to say."""

    name: str
    tip: str
    value: float | None = None
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Scale:
    """What an axis goes from and to, at most how many steps it has, and how its numbers are written."""

    low: float = 0.0
    high: float = 1.0
    steps: int = 5
    written: Callable[[float], str] = "{:.1f}".format

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        return [self.low + tick for tick in ticks(self.high - self.low, self.steps)]


SHARES = Scale()


@dataclass(frozen=True)
class Point:
    """A value of the scale with its bounds, at one of the places of a row of curves."""

    place: int
    value: float
    low: float
    high: float
    tip: str


@dataclass(frozen=True)
class Curve:
    """Points from left to right, joined, with a label beside the last. Hollow ones tell a colour's second use."""

    colour: str
    points: Sequence[Point]
    label: str = ""
    dashes: str = ""
    hollow: bool = False


# ---- the whole picture


def picture(
    label: str,
    panels: Sequence[Panel],
    height: float,
    columns: Sequence[float] = (1.0,),
    legend: Legend = (),
    caption: str = "",
) -> str:
    """Panels row by row, each drawing so high, columns as wide as their weights; a legend above, a caption below."""
    drawn, top = _legend(Box(MARGIN, MARGIN - 8, WIDTH - 2 * MARGIN, 0), legend)
    room = WIDTH - 2 * MARGIN - BETWEEN * (len(columns) - 1)
    for start in range(0, len(panels), len(columns)):
        left, bottom = float(MARGIN), top
        for panel, weight in zip(panels[start:], columns, strict=False):
            width = room * weight / sum(columns)
            elements, end = _panel(panel, Box(left, top + TITLE, width, height))
            drawn += elements
            left, bottom = left + width + BETWEEN, max(bottom, end)
        top = bottom + LINE / 2
    if caption:
        drawn.append(words(caption, WIDTH / 2, top + LINE / 2, "small soft", "middle"))
        top += LINE
    return document(label, WIDTH, top + MARGIN - LINE / 2 - 4, drawn)


def _panel(panel: Panel, box: Box) -> tuple[list[str], float]:
    """What there is of a panel whose drawing has this box, and where it ends."""
    drawn = [words(fitted(panel.title, box.width, 16), box.left, box.top - 11, "title")]
    if panel.remark:
        box = Box(box.left, box.top + LINE, box.width, box.height)
        drawn.append(words(fitted(panel.remark, box.width, SMALL), box.left, box.top - 13, "small soft"))
    drawn += panel.draw(box)
    legend, bottom = _legend(Box(box.left, box.bottom + AXIS, box.width, 0), panel.legend)
    return drawn + legend, bottom


def _legend(box: Box, entries: Legend) -> tuple[list[str], float]:
    """Entries from left to right and line by line, and where the last line ends."""
    drawn: list[str] = []
    left, top = box.left, box.top
    for what, sign in entries:
        beside = 6 + (LEADER if isinstance(sign, Line) else 11)
        width = beside + text_width(what, SMALL)
        if left > box.left and left + width > box.right:
            left, top = box.left, top + LINE
        middle = top + LINE / 2
        if isinstance(sign, Line):
            path = f"M{number(left)} {number(middle)}h{LEADER}"
            drawn.append(_stroke(f"{sign.look} {sign.colour}", path, sign.dashes))
        else:
            drawn.append(element("rect", f"fill {sign}", x=left, y=middle - 5.5, width=11, height=11, rx=2))
        drawn.append(words(what, left + beside, middle + 0.35 * SMALL, "small"))
        left += width + 18
    return drawn, top + LINE if entries else top


# ---- drawings


def stacked(box: Box, bars: Sequence[Bar], whole: bool = True) -> list[str]:
    """Horizontal bars of shares, the first on top; the axis ends at the whole, or else a little behind the longest."""
    if not bars:
        return [note("no data", box)]
    names, plot = _names(box, [(bar.name, [segment.tip for segment in bar.segments]) for bar in bars])
    longest = max(sum(segment.share for segment in bar.segments) for bar in bars)
    limit = 1.0 if whole else max(longest * 1.05, 0.01)
    drawn = _axis(plot, limit, "{:.0%}".format if limit > 0.05 else "{:.1%}".format) + names
    thickness = min(THICKEST, 0.72 * plot.height / len(bars))
    for bar, middle in zip(bars, _middles(plot, len(bars)), strict=True):
        drawn += _bar(bar, Box(plot.left, middle - thickness / 2, plot.width / limit, thickness))
    return drawn


def _bar(bar: Bar, box: Box) -> list[str]:
    """The box is as wide as a share of 1 would be."""
    drawn, start = [], 0.0
    for segment in bar.segments:
        if segment.share > 0:
            area = {"x": box.across(start), "y": box.top, "width": box.width * segment.share, "height": box.height}
            tip = title(f"{bar.name} · {segment.tip}")
            drawn.append(element("rect", f"mark fill {segment.colour}", tip, **area))
        start += segment.share
    if bar.note and not drawn:
        drawn.append(words(bar.note, box.left + 8, box.up(0.5) + 0.35 * SMALL, "small soft"))
    return drawn


def intervals(box: Box, rows: Sequence[Interval], colour: str, reference: float) -> list[str]:
    """A dot on its interval in each row, the value behind it, and a dotted line at the value to compare with."""
    values = 12 + text_width("0.00", SIZE)
    inner = Box(box.left, box.top, box.width - values, box.height)
    names, plot = _names(inner, [(row.name, [row.tip]) for row in rows])
    line = {"x1": plot.across(reference), "x2": plot.across(reference), "y1": plot.top, "y2": plot.bottom}
    drawn = [*_axis(plot, 1.0, "{:.1f}".format), *names, element("line", "stroke dots soft", **line)]
    pitch = plot.height / max(len(rows), 1)
    for row, middle in zip(rows, _middles(plot, len(rows)), strict=True):
        target = element("rect", "target", x=plot.left, y=middle - pitch / 2, width=plot.width + values, height=pitch)
        inside = [title(f"{row.name} · {row.tip}"), target]
        if row.value is None:
            inside.append(words("not measured", plot.across(reference) + 8, middle + 0.35 * SMALL, "small soft"))
        else:
            ends = {"x1": plot.across(row.low), "x2": plot.across(row.high), "y1": middle, "y2": middle}
            inside.append(element("line", f"stroke band {colour}", **ends))
            inside.append(element("circle", f"fill {colour}", cx=plot.across(row.value), cy=middle, r=4.5))
            inside.append(words(f"{row.value:.2f}", box.right, middle + 0.35 * SIZE, anchor="end"))
        drawn.append(element("g", "", *inside))
    return drawn


def steps(box: Box, outlines: Sequence[tuple[str, Sequence[int]]], width: int, tips: Sequence[str]) -> list[str]:
    """Histograms on top of each other, (colour, counts) each; a bin is so wide, and its tip tells all of its counts."""
    bins = len(tips)
    highest = 1.05 * max((count for _, counts in outlines for count in counts), default=0)
    if not highest:
        return [note("no data", box)]
    drawn = _axis(box, bins * width, "{:,.0f}".format, least=1.0, lines=False)
    for colour, counts in outlines:
        drawn.append(element("path", f"area {colour}", d=_outline(box, [count / highest for count in counts])))
    for i, tip in enumerate(tips):
        if any(counts[i] for _, counts in outlines):
            area = {"x": box.across(i / bins), "y": box.top, "width": box.width / bins, "height": box.height}
            drawn.append(element("rect", "target", title(tip), **area))
    return drawn


def _outline(box: Box, heights: Sequence[float]) -> str:
    """A path up and down the steps of each run of bins that hold anything."""
    corners = [(number(box.across((i + 1) / len(heights))), number(box.up(h))) for i, h in enumerate(heights)]
    path = []
    for holds, run in groupby(range(len(heights)), key=lambda i: heights[i] > 0):
        if holds:
            bins, base = list(run), number(box.bottom)
            stairs = "".join(f"V{corners[i][1]}H{corners[i][0]}" for i in bins)
            path.append(f"M{number(box.across(bins[0] / len(heights)))} {base}{stairs}V{base}")
    return "".join(path)


def curves(
    box: Box, places: Sequence[str], lines: Sequence[Curve], reference: float | None, scale: Scale = SHARES
) -> list[str]:
    """Curves with error bars over named places, side by side where they meet, and a dotted line to compare with."""
    left = box.left + max(text_width(scale.written(tick), SMALL) for tick in scale.ticks()) + 8
    labels = max((text_width(line.label, _size(line)) for line in lines), default=0.0)
    right = box.right - (LEADER + 6 + min(labels, NAMES * box.width) if labels else 0)
    plot = Box(left, box.top + 6, right - left, box.height - 6)
    drawn = _levels(plot, scale, reference)
    pitch, first, beside = _places(plot.width, len(places), len(lines), labels > 0)
    for i, name in enumerate(places):
        middle = plot.left + pitch * (i + first)
        drawn.append(words(fitted(name, pitch - 8, SMALL), middle, plot.bottom + 18, "small soft", "middle"))
    if not any(line.points for line in lines):
        return [*drawn, note("not measured", Box(plot.left, plot.top, plot.width, 0.6 * plot.height))]
    for i, line in enumerate(lines):
        shift = first * pitch + beside * (i - (len(lines) - 1) / 2)
        drawn += _curve(plot, line, [plot.left + pitch * point.place + shift for point in line.points], scale)
    return drawn + _labels(plot, box.right, [line for line in lines if line.points and line.label], scale)


def _places(width: float, places: int, lines: int, labelled: bool) -> tuple[float, float, float]:
    """How far it is from place to place, where the first one is, counted in such steps, and from curve to curve there.

    Each place has its share of the width; where labels stand at the ends of curves, these go on to the edges.
    """
    pitch = width / max(places, 1)
    if not labelled or places < 2:
        return pitch, 0.5, min(14.0, 0.5 * pitch / max(lines, 1))
    beside = min(9.0, 0.5 * pitch / lines)
    edge = beside * (lines - 1) / 2 + 20
    pitch = (width - 2 * edge) / (places - 1)
    return pitch, edge / pitch, beside


def _size(line: Curve) -> int:
    """The size at which the label is as wide as it will be; a bold one is wider."""
    return 16 if line.colour == STRONGEST else SIZE


def _levels(plot: Box, scale: Scale, reference: float | None) -> list[str]:
    """A line for each number of the scale, the dotted one, and the numbers."""
    looks = [(tick, "grid line") for tick in scale.ticks()]
    drawn = []
    for value, look in looks if reference is None else [*looks, (reference, "dots soft")]:
        y = plot.up(scale.share(value))
        drawn.append(element("line", f"stroke {look}", x1=plot.left, x2=plot.right, y1=y, y2=y))
    for tick in scale.ticks():
        y = plot.up(scale.share(tick)) + 0.35 * SMALL
        drawn.append(words(scale.written(tick), plot.left - 8, y, "small soft", "end"))
    return drawn


def _curve(plot: Box, line: Curve, places: Sequence[float], scale: Scale) -> list[str]:
    spots = [(x, plot.up(scale.share(point.value)), point) for x, point in zip(places, line.points, strict=True)]
    path = "L".join(f"{number(x)} {number(y)}" for x, y, _ in spots)
    drawn = [_stroke(f"curve {line.colour}", f"M{path}", line.dashes)] if len(spots) > 1 else []
    for x, y, point in spots:
        low, high = (plot.up(scale.share(end)) for end in (point.low, point.high))
        bar = element("line", f"stroke error {line.colour}", x1=x, x2=x, y1=low, y2=high)
        dot = element("circle", f"fill {line.colour}", cx=x, cy=y, r=3.8)
        inner = [element("circle", "fill ground", cx=x, cy=y, r=2.2)] if line.hollow else []
        drawn.append(element("g", "mark", title(point.tip), bar, dot, *inner))
    return drawn


def _labels(plot: Box, right: float, lines: Sequence[Curve], scale: Scale) -> list[str]:
    """What stands at the ends of curves, from top to bottom as these end, moved apart where there is no room."""
    ends = sorted([(plot.up(scale.share(line.points[-1].value)), line) for line in lines], key=lambda end: end[0])
    gap = min(SIZE + 4, plot.height / max(len(ends), 1))
    left, drawn = plot.right + LEADER + 6, []
    for (end, line), y in zip(ends, spread([end for end, _ in ends], gap, plot.top, plot.bottom), strict=True):
        path = f"M{number(plot.right)} {number(end)}L{number(plot.right + LEADER)} {number(y)}"
        look = "title" if line.colour == STRONGEST else ""
        label = words(fitted(line.label, right - left, _size(line)), left, y + 0.35 * SIZE, look)
        tip = title(f"{line.label}\n{line.points[-1].tip}")
        drawn.append(element("g", "", tip, _stroke(f"curve {line.colour}", path, line.dashes), label))
    return drawn


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending values, moved as little as it takes to lie `gap` apart between low and high.

    >>> spread([10.0, 10.0, 50.0], gap=4.0, low=0.0, high=100.0)
    [8.0, 12.0, 50.0]
    """
    blocks: list[tuple[float, list[float]]] = []  # values that touch lie as one block around their mean
    for value in values:
        block, middle = [value], value
        while blocks and middle - blocks[-1][0] < gap * (len(block) + len(blocks[-1][1])) / 2:
            block = blocks.pop()[1] + block
            half = gap * (len(block) - 1) / 2
            middle = min(max(sum(block) / len(block), low + half), high - half)
        blocks.append((middle, block))
    return [middle + gap * (i - (len(block) - 1) / 2) for middle, block in blocks for i in range(len(block))]


# ---- parts of drawings


def _stroke(look: str, path: str, dashes: str = "") -> str:
    dashed = {"stroke-dasharray": dashes} if dashes else {}
    return element("path", f"stroke {look}", d=path, **dashed)


def _names(box: Box, rows: Sequence[tuple[str, Sequence[str]]]) -> tuple[list[str], Box]:
    """Names of rows with all that there is to say of each, to the left of what remains of the box."""
    widest = max((text_width(name, SIZE) for name, _ in rows), default=0.0)
    room = min(widest, NAMES * box.width)
    left = box.left + room + 10
    drawn = [
        words(fitted(name, room, SIZE), left - 10, middle + 0.35 * SIZE, anchor="end", tip="\n".join([name, *tips]))
        for (name, tips), middle in zip(rows, _middles(box, len(rows)), strict=True)
    ]
    return drawn, Box(left, box.top, box.right - left, box.height)


def _middles(box: Box, rows: int) -> list[float]:
    return [box.top + box.height * (i + 0.5) / rows for i in range(rows)]


def _axis(box: Box, limit: float, written: Callable[[float], str], least: float = 0.0, lines: bool = True) -> list[str]:
    """Numbers from 0 to the limit below a box, as many as have room, and a line up from each or one along the box."""
    most = max(1, min(6, int(box.width / (text_width(written(limit), SMALL) + 12))))
    drawn = []
    if not lines:
        drawn.append(element("line", "stroke grid line", x1=box.left, x2=box.right, y1=box.bottom, y2=box.bottom))
    for tick in ticks(limit, most, least):
        x = box.across(tick / limit)
        if lines:
            drawn.append(element("line", "stroke grid line", x1=x, x2=x, y1=box.top, y2=box.bottom))
        drawn.append(words(written(tick), x, box.bottom + 18, "small soft", "middle"))
    return drawn


def ticks(limit: float, most: int, least: float = 0.0) -> list[float]:
    """Round numbers from 0 to the limit, at so many steps at most, none of them smaller than the least."""
    rough = max(limit / most, least)
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor > rough * 0.9999)
    return [i * step for i in range(int(limit / step * 1.0001) + 1)]


def note(text: str, box: Box) -> str:
    """A word in the middle of a box that has nothing to show."""
    return words(text, box.across(0.5), box.up(0.5) + 0.35 * SMALL, "small soft", "middle")
