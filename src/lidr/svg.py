"""SVG by hand: elements as text, one palette for a light and a dark theme, and how wide a text is at most.

    >>> element("circle", "fill chosen", title("es: 0.98"), cx=10, cy=7.5, r=4)
    '<circle class="chart-fill chart-chosen" cx="10" cy="7.5" r="4"><title>es: 0.98</title></circle>'

A document follows the theme of whoever looks at it: its elements name colours of `PALETTE`, and its style says what
these are in either theme. It stands alone as a file, or within a page: every class begins with `chart`, no element has
an id, and every text is escaped.

How wide a text will be is up to the viewer's fonts, and SVG has no way to ask. Where room is made for one, `text_width`
says what it takes at most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Colours by name, in light and in dark. Okabe and Ito's and Paul Tol's, which colour-blind readers can tell apart.
PALETTE = {
    "ground": ("#ffffff", "#1b2129"),
    "text": ("#1c2430", "#e4e8ee"),
    "soft": ("#5d6878", "#98a3b3"),
    "line": ("#e2e6ec", "#2d3542"),
    "chosen": ("#0f7d6b", "#3fbf9f"),
    "rejected": ("#c8551b", "#f0824a"),
    "both": ("#9fd3c7", "#22695a"),
    "neither": ("#c9ced6", "#4b5564"),
    "unjudged": ("#eceff3", "#2d3542"),
    "series-0": ("#1c2430", "#e4e8ee"),
    "series-1": ("#CC6677", "#EE8899"),
    "series-2": ("#4477AA", "#77AADD"),
    "series-3": ("#228833", "#55BB66"),
    "series-4": ("#DDAA33", "#EECC66"),
    "series-5": ("#66AADD", "#99DDFF"),
    "series-6": ("#AA4499", "#DD88CC"),
    "series-7": ("#882255", "#CC6699"),
    "series-8": ("#999933", "#CCCC66"),
}
SERIES = 9
SIZE, SMALL = 13, 12  # of the font, in pixels: names, and what is written smaller


def document(label: str, width: float, height: float, drawn: Sequence[str]) -> str:
    """An image on its own ground, and in a word what it shows for whoever cannot see it."""
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": "chart chart-text",
        "viewBox": f"0 0 {number(width)} {number(height)}",
        "role": "img",
        "aria-label": label,
    }
    ground = element("rect", "fill ground", width=width, height=height)
    inside = "\n".join(["", element("style", "", _STYLE), ground, *drawn, ""])
    return element("svg", "", inside, width=width, height=height, **attributes) + "\n"


def element(tag: str, look: str, *inside: str, **attributes: str | float) -> str:
    """An SVG element; each word of its look is a class, and what is inside is SVG already."""
    classes = "".join(f" chart-{word}" for word in look.split()).lstrip()
    listed = f' class="{classes}"' if classes else ""
    for name, value in attributes.items():
        listed += f' {name}="{escape(value) if isinstance(value, str) else number(value)}"'
    return f"<{tag}{listed}>{''.join(inside)}</{tag}>" if inside else f"<{tag}{listed}/>"


def words(text: str, x: float, y: float, look: str = "", anchor: str = "start", tip: str = "") -> str:
    """A line of text whose start, middle or end is at x."""
    inside = [title(tip)] if tip else []
    anchors = {} if anchor == "start" else {"text-anchor": anchor}
    return element("text", look, *inside, escape(text), x=x, y=y, **anchors)


def title(text: str) -> str:
    """What a viewer tells of the element around it to whoever points at it."""
    return element("title", "", escape(text))


def escape(text: str) -> str:
    """Text that can stand anywhere in XML; characters that XML cannot hold are shown as such."""
    return _UNKNOWN_TO_XML.sub("\N{REPLACEMENT CHARACTER}", text).translate(_SPECIAL)


def number(value: float) -> str:
    """Two decimals at most, and no zero that says nothing."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def text_width(text: str, size: float) -> float:
    """At most: as wide as DejaVu Sans, the widest of the fonts in question, and a little more."""
    return size * sum(_character_width(character) for character in text)


def fitted(text: str, width: float, size: float) -> str:
    """The text, or as much of its beginning as has room, with an ellipsis."""
    if text_width(text, size) <= width + 0.01:
        return text
    while text and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text}…"


def _character_width(character: str) -> float:
    if character in _WIDTHS:
        return _WIDTHS[character]
    if character > "~":
        return 1.1
    return 0.8 if character.isupper() else 0.64


_WIDTHS = {
    character: width
    for width, characters in (
        (0.34, " .,:;'|/ijlI"),
        (0.42, "-()[]!ftr"),
        (0.6, "ckvxyzs"),
        (0.86, "#&+<=>^~"),
        (1.0, "mwMW@%…"),
    )
    for character in characters
}
_UNKNOWN_TO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;", "'": "&#39;"})

# A colour is the element's `color`, and its shape says whether that fills or draws it.
_LOOKS = """
.chart{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;\
font-variant-numeric:tabular-nums}
.chart text{fill:currentColor}
.chart .chart-title{font-size:14px;font-weight:600}
.chart-small{font-size:12px}
.chart-fill{fill:currentColor}
.chart-stroke{fill:none;stroke:currentColor}
.chart-grid{shape-rendering:crispEdges}
.chart-dots{stroke-width:1.4;stroke-dasharray:.1 3.6;stroke-linecap:round}
.chart-band{stroke-width:5;stroke-opacity:.3}
.chart-error{stroke-width:1.2;stroke-opacity:.5}
.chart-curve{stroke-width:1.6;stroke-linejoin:round}
.chart-curve.chart-series-0{stroke-width:2.2}
.chart-area{fill:currentColor;fill-opacity:.25;stroke:currentColor;stroke-width:1.4;stroke-linejoin:round}
.chart-target{fill:currentColor;fill-opacity:0}
.chart-target:hover{fill-opacity:.06}
.chart-mark:hover{opacity:.75}
"""


def _colours(theme: int) -> str:
    return "\n".join(f".chart-{name}{{color:{colours[theme]}}}" for name, colours in PALETTE.items())


_STYLE = f"{_LOOKS}{_colours(0)}\n@media (prefers-color-scheme:dark){{\n{_colours(1)}\n}}\n"
