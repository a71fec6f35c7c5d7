"""Plots: their marks, tooltips and escaped texts."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from svg import SVG, words

from lidr.pages.figures import CHOSEN, NEUTRAL, REJECTED, Bar, Canvas, Curve, Point, Segment, render

BARS = [
    Bar("es", [Segment(0.75, CHOSEN, "right: 3 of 4"), Segment(0.0, REJECTED, "no"), Segment(0.25, NEUTRAL, "wrong")]),
    Bar("de", [Segment(0.5, CHOSEN, "right: 2 of 4")]),
]


def bars(bars: list[Bar], whole: bool = True, label: str = "bars") -> Element:
    return ElementTree.fromstring(
        render(label, lambda canvas: canvas.stacked(canvas.axes[0], "Answers", bars, whole), 2)
    )


def curves(lines: list[Curve], reference: float | None = None) -> Element:
    def paint(canvas: Canvas) -> None:
        canvas.curves(canvas.axes[0], ["m0", "m1"], lines, reference)

    return ElementTree.fromstring(render("curves", paint, height=3))


def marks(root: Element) -> list[tuple[str, Element]]:
    """The marks with tooltips, and their paths."""
    found = [(one.findtext(f"{SVG}title"), one) for one in root.iter(f"{SVG}g")]
    return [(tip, next(one.iter(f"{SVG}path"))) for tip, one in found if tip is not None]


def across(path: Element) -> tuple[float, float]:
    """The left and right ends of a rectangle."""
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d", ""))]
    return min(numbers[::2]), max(numbers[::2])


def line(label: str, *values: float, hollow: bool = False, dashed: bool = False) -> Curve:
    points = [Point(i, value, value - 5, value + 5, f"{label} {value}") for i, value in enumerate(values)]
    return Curve(label, "C1", points, dashed, hollow)


def test_segments_lie_end_to_end_and_tell_their_figures() -> None:
    found = marks(bars(BARS))
    assert [tip for tip, _ in found] == ["es · right: 3 of 4", "es · wrong", "de · right: 2 of 4"]
    (left, middle), (start, right), (lower, end) = [across(path) for _, path in found]
    assert (start, lower) == pytest.approx((middle, left))
    assert (middle - left, end - left) == pytest.approx((0.75 * (right - left), 0.5 * (right - left)))


def test_an_axis_of_shares_ends_at_the_whole_or_behind_the_longest_bar() -> None:
    assert words(bars(BARS))[:6] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    few = words(bars([Bar("es", [Segment(0.02, CHOSEN, "")])], whole=False))
    assert (few[0], few[8]) == ("0.00%", "2.00%")


def test_curves_that_meet_stand_side_by_side() -> None:
    root = curves([line("es", 50, 60), line("de", 50, 60)])
    first = [across(path)[0] for tip, path in marks(root) if tip in ("es 50", "de 50")]
    assert len(set(first)) == 2


def test_curves_are_told_apart_by_dashes_and_hollow_points() -> None:
    plain, other = (ElementTree.tostring(curves([curve]), "unicode") for curve in (
        line("es", 1, 2), line("es", 1, 2, hollow=True, dashed=True)
    ))  # fmt: skip
    assert "stroke-dasharray" not in plain and "stroke-dasharray" in other
    assert other.count("fill: #ffffff") > plain.count("fill: #ffffff")


def test_hostile_texts_stay_texts() -> None:
    name = "</text><script>alert(1)</script>&\"'$x^2$_\x00\u202e"
    root = bars([Bar(name, [Segment(1.0, CHOSEN, name)], name)], label=name)
    seen = name.replace("\x00", "\ufffd")
    assert root.get("aria-label") == seen
    assert seen in words(root) and [tip for tip, _ in marks(root)] == [f"{seen} · {seen}"]
    assert not list(root.iter(f"{SVG}script"))


def test_figures_have_the_same_bytes_and_share_no_id_on_a_page() -> None:
    def text(label: str) -> str:
        return render(label, lambda canvas: canvas.curves(canvas.axes[0], ["m0"], [line("es", 1.0)], 0.5), height=2)

    assert text("a") == text("a")
    first, second = (set(re.findall(r' id="(.*?)"', text(label))) for label in "ab")
    assert first and not first & second
    assert "DejaVu Sans" in text("a") and "<metadata" not in text("a")
