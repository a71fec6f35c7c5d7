"""Charts: where each mark is, what it says to whoever points at it, and what is drawn of nothing."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from lidr.charts import (
    MARGIN,
    NAMES,
    WIDTH,
    Bar,
    Box,
    Curve,
    Interval,
    Line,
    Panel,
    Point,
    Scale,
    Segment,
    curves,
    intervals,
    picture,
    spread,
    stacked,
    steps,
    ticks,
)
from lidr.svg import SIZE, SMALL, text_width

BOX = Box(100, 50, 400, 80)


def parsed(drawn: list[str]) -> Element:
    return ElementTree.fromstring(f"<g>{''.join(drawn)}</g>")


def looks(drawn: list[str], look: str) -> list[Element]:
    """The elements with this class."""
    return [one for one in parsed(drawn).iter() if f"chart-{look}" in one.get("class", "").split()]


def numbers(one: Element, *names: str) -> list[float]:
    return [float(one.get(name, "nan")) for name in names]


def texts(drawn: list[str]) -> list[str]:
    """What can be read without pointing at anything."""
    return ["".join([one.text or "", *(inner.tail or "" for inner in one)]) for one in parsed(drawn).iter("text")]


def two_bars() -> list[Bar]:
    first = [Segment(0.75, "chosen", "right: 3 of 4"), Segment(0.0, "both", "both: 0 of 4")]
    return [
        Bar("es", [*first, Segment(0.25, "neither", "wrong: 1 of 4")]),
        Bar("de", [Segment(0.5, "chosen", "right: 2 of 4")]),
    ]


# ---- stacked bars


def test_segments_of_a_bar_lie_end_to_end() -> None:
    drawn = stacked(BOX, two_bars())
    left = 100 + text_width("de", SIZE) + 10
    width = 500 - left
    found = [numbers(mark, "x", "width", "y", "height") for mark in looks(drawn, "mark")]
    assert found == [
        pytest.approx([left, 0.75 * width, 60, 20], abs=0.01),
        pytest.approx([left + 0.75 * width, 0.25 * width, 60, 20], abs=0.01),
        pytest.approx([left, 0.5 * width, 100, 20], abs=0.01),
    ]


def test_a_segment_tells_its_figures_and_a_name_those_of_its_row() -> None:
    drawn = stacked(BOX, two_bars())
    tips = [mark.findtext("title") for mark in looks(drawn, "mark")]
    assert tips == ["es · right: 3 of 4", "es · wrong: 1 of 4", "de · right: 2 of 4"]
    names = [one for one in parsed(drawn).iter("text") if one.find("title") is not None]
    assert names[0].findtext("title") == "es\nright: 3 of 4\nboth: 0 of 4\nwrong: 1 of 4"
    assert names[0].get("text-anchor") == "end"


def test_an_axis_of_shares_ends_at_the_whole_or_behind_the_longest_bar() -> None:
    assert texts(stacked(BOX, two_bars()))[:6] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    few = [Bar("es", [Segment(0.02, "chosen", "")]), Bar("de", [Segment(0.01, "chosen", "")])]
    drawn = stacked(BOX, few, whole=False)
    assert texts(drawn)[:5] == ["0.0%", "0.5%", "1.0%", "1.5%", "2.0%"]
    longest, half = looks(drawn, "mark")
    (left, width), (_, shorter) = numbers(longest, "x", "width"), numbers(half, "x", "width")
    assert left + 1.05 * width == pytest.approx(500, abs=0.1)
    assert shorter == pytest.approx(width / 2, abs=0.01)


def test_bars_of_nothing_say_so() -> None:
    drawn = stacked(BOX, [Bar("es", [Segment(0.0, "chosen", "right: 0 of 0")], "no pairs")], whole=False)
    assert looks(drawn, "mark") == []
    assert texts(drawn)[-2:] == ["es", "no pairs"]
    assert texts(stacked(BOX, [])) == ["no data"]


def test_a_long_name_is_cut_and_told_in_full() -> None:
    name = "a language whose name is far too long to be written beside a bar"
    drawn = stacked(BOX, [Bar(name, [Segment(1.0, "chosen", "all")])])
    (mark,) = looks(drawn, "mark")
    assert numbers(mark, "x") == [pytest.approx(100 + NAMES * 400 + 10)]
    assert texts(drawn)[-1].endswith("…")
    assert any((title.text or "").startswith(name) for title in parsed(drawn).iter("title"))


# ---- intervals


def test_a_dot_lies_on_its_interval() -> None:
    drawn = intervals(BOX, [Interval("es", "0.75 of 8", 0.75, 0.5, 1.0)], "chosen", 0.5)
    left, right = 100 + text_width("es", SIZE) + 10, 500 - 12 - text_width("0.00", SIZE)
    width = right - left
    (band,) = looks(drawn, "band")
    ends = numbers(band, "x1", "x2", "y1", "y2")
    assert ends == pytest.approx([left + 0.5 * width, right, 90, 90], abs=0.01)
    (dot,) = parsed(drawn).iter("circle")
    assert numbers(dot, "cx", "cy") == pytest.approx([left + 0.75 * width, 90], abs=0.01)
    (coin,) = looks(drawn, "dots")
    assert numbers(coin, "x1", "x2") == pytest.approx([left + 0.5 * width] * 2, abs=0.01)
    assert texts(drawn)[-1] == "0.75"
    assert parsed(drawn).findtext("g/title") == "es · 0.75 of 8"


def test_what_was_not_measured_has_no_dot() -> None:
    drawn = intervals(BOX, [Interval("es", "not measured: no pairs")], "chosen", 0.5)
    assert list(parsed(drawn).iter("circle")) == []
    assert texts(drawn)[-1] == "not measured"
    assert parsed(drawn).findtext("g/title") == "es · not measured: no pairs"


# ---- histograms


def test_steps_go_up_and_down_at_the_edges_of_bins() -> None:
    drawn = steps(Box(0, 0, 400, 105), [("chosen", [0, 2, 1, 0]), ("rejected", [1, 0, 0, 1])], 10, ["a", "b", "c", "d"])
    paths = [one.get("d") for one in looks(drawn, "area")]
    assert paths == ["M100 105V5H200V55H300V105", "M0 105V55H100V105M300 105V55H400V105"]
    assert [numbers(one, "x", "width", "height") for one in looks(drawn, "target")] == [
        [0, 100, 105], [100, 100, 105], [200, 100, 105], [300, 100, 105],
    ]  # fmt: skip
    assert [one.findtext("title") for one in looks(drawn, "target")] == ["a", "b", "c", "d"]
    assert texts(drawn) == ["0", "10", "20", "30", "40"]


def test_bins_that_hold_nothing_say_nothing() -> None:
    drawn = steps(BOX, [("chosen", [0, 3])], 1, ["0: none", "1: three"])
    assert [one.findtext("title") for one in looks(drawn, "target")] == ["1: three"]
    assert texts(steps(BOX, [("chosen", [0]), ("rejected", [0])], 1, [""])) == ["no data"]


# ---- curves


def test_points_of_a_curve_lie_at_their_places() -> None:
    points = [Point(0, 1.0, 0.9, 1.0, "first"), Point(2, 0.5, 0.25, 0.75, "third")]
    drawn = curves(BOX, ["m1", "m2", "m3"], [Curve("series-0", points)], 0.5)
    left = 100 + text_width("0.0", SMALL) + 8
    pitch = (500 - left) / 3
    first, third = parsed(drawn).iter("circle")
    assert numbers(first, "cx", "cy") == pytest.approx([left + pitch / 2, 56], abs=0.01)
    assert numbers(third, "cx", "cy") == pytest.approx([left + 2.5 * pitch, 93], abs=0.01)
    errors = [numbers(one, "y1", "y2") for one in looks(drawn, "error")]
    assert errors == [pytest.approx([63.4, 56], abs=0.01), pytest.approx([111.5, 74.5], abs=0.01)]
    assert [one.findtext("title") for one in looks(drawn, "mark")] == ["first", "third"]
    assert texts(drawn)[-3:] == ["m1", "m2", "m3"]


def test_curves_that_meet_stand_side_by_side() -> None:
    lines = [Curve(f"series-{i}", [Point(0, 0.5, 0.4, 0.6, "")]) for i in range(9)]
    drawn = curves(Box(0, 0, 900, 200), [f"m{i}" for i in range(8)], lines, 0.5)
    places = [numbers(one, "cx")[0] for one in parsed(drawn).iter("circle")]
    gaps = [b - a for a, b in pairwise(places)]
    assert min(gaps) == pytest.approx(max(gaps), abs=0.02) and min(gaps) > 5
    assert looks(drawn, "curve") == []


def test_curves_without_points_say_so() -> None:
    assert texts(curves(BOX, ["m1"], [], 0.5))[-2:] == ["m1", "not measured"]
    assert texts(curves(BOX, [], [Curve("series-0", [])], 0.5))[-1] == "not measured"


def test_curves_on_a_scale_of_their_own() -> None:
    scale = Scale(40.0, 70.0, 9, "{:.0f}".format)
    points = [Point(0, 50.0, 45.0, 55.0, "first"), Point(1, 70.0, 65.0, 70.0, "second")]
    drawn = curves(BOX, ["m0", "m1"], [Curve("series-1", points, dashes="7 4")], None, scale)
    assert texts(drawn) == ["40", "45", "50", "55", "60", "65", "70", "m0", "m1"]
    top, height = 56, 74
    first, second = parsed(drawn).iter("circle")
    assert numbers(first, "cy") == pytest.approx([top + height * 2 / 3], abs=0.01)
    assert numbers(second, "cy") == pytest.approx([top], abs=0.01)
    error = looks(drawn, "error")[0]
    assert numbers(error, "y1", "y2") == pytest.approx([top + height * 5 / 6, top + height / 2], abs=0.01)
    assert [one.get("stroke-dasharray") for one in looks(drawn, "curve")] == ["7 4"]
    assert looks(drawn, "dots") == []


def test_labels_stand_at_the_ends_of_curves_and_lead_to_them() -> None:
    ends = {"one": 0.5, "two": 0.5, "three": 0.9}
    lines = [
        Curve(f"series-{i}", [Point(0, 0.1, 0.1, 0.1, ""), Point(1, end, end, end, f"{end} of {name}")], name)
        for i, (name, end) in enumerate(ends.items())
    ]
    drawn = curves(Box(0, 0, 600, 206), ["m0", "m1"], lines, None)
    labels = [group for group in parsed(drawn).findall("g") if group.find("text") is not None]
    words = [label.find("text") for label in labels]
    assert [one.text for one in words if one is not None] == ["three", "one", "two"]
    heights = [numbers(one, "y")[0] - 0.35 * SIZE for one in words if one is not None]
    assert heights == pytest.approx([26, 97.5, 114.5], abs=0.01)  # 17 apart around the middle
    assert [label.findtext("title") for label in labels][1] == "one\n0.5 of one"
    left = [numbers(one, "x")[0] for one in words if one is not None]
    room = max(text_width("three", SIZE), text_width("one", 16))
    assert left == pytest.approx([600 - room] * 3, abs=0.01)
    plot_ends = max(numbers(one, "x2")[0] for one in looks(drawn, "grid"))
    assert plot_ends == pytest.approx(600 - room - 6 - 26, abs=0.01)
    dots = [numbers(one, "cx")[0] for one in parsed(drawn).iter("circle")]
    assert plot_ends - max(dots) == pytest.approx(20, abs=0.01)  # the last place is at the edge, not in mid-column
    assert dots[2] - dots[0] == pytest.approx(9, abs=0.01)
    assert [one.text for one in looks(drawn, "title")] == ["one"]  # the strongest colour's


def test_hollow_points_show_the_ground() -> None:
    (curve,) = [Curve("series-1", [Point(0, 0.5, 0.4, 0.6, "")], hollow=True)]
    assert [one.get("class") for one in parsed(curves(BOX, ["m0"], [curve], 0.5)).iter("circle")] == [
        "chart-fill chart-series-1",
        "chart-fill chart-ground",
    ]


def test_labels_are_moved_apart_as_little_as_it_takes_and_stay_inside() -> None:
    assert spread([10.0, 10.0, 50.0], gap=4.0, low=0.0, high=100.0) == [8.0, 12.0, 50.0]
    assert spread([99.0, 99.5, 100.0], gap=4.0, low=0.0, high=100.0) == [92.0, 96.0, 100.0]
    assert spread([], gap=4.0, low=0.0, high=1.0) == []


# ---- numbers of an axis


@pytest.mark.parametrize(
    ("limit", "most", "least", "expected"),
    [
        (1.0, 6, 0.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.67, 6, 0.0, [0, 0.2, 0.4, 0.6]),
        (0.01, 6, 0.0, [0, 0.002, 0.004, 0.006, 0.008, 0.01]),
        (450, 6, 1.0, [0, 100, 200, 300, 400]),
        (2, 6, 1.0, [0, 1, 2]),
        (1, 1, 1.0, [0, 1]),
    ],
)
def test_ticks_are_round(limit: float, most: int, least: float, expected: list[float]) -> None:
    assert ticks(limit, most, least) == pytest.approx(expected)


# ---- pictures


def test_a_picture_sets_panels_in_columns_and_grows_with_them() -> None:
    def picture_of(panels: int) -> tuple[list[Box], float]:
        boxes: list[Box] = []

        def draw(box: Box) -> list[str]:
            boxes.append(box)
            return []

        root = ElementTree.fromstring(picture("all", [Panel("one", draw)] * panels, 100, (1.5, 1.0)))
        return boxes, float(root.get("height", "0"))

    (left, right), one_row = picture_of(2)
    assert left.left == MARGIN and right.right == pytest.approx(WIDTH - MARGIN)
    assert left.width == pytest.approx(1.5 * right.width)
    boxes, two_rows = picture_of(3)
    assert boxes[2].left == left.left and boxes[2].top == pytest.approx(boxes[0].top + two_rows - one_row)
    assert two_rows > one_row + 100


def test_a_legend_breaks_into_lines_within_its_panel() -> None:
    legend = [(f"a reason with a long name, number {i}", f"series-{i}") for i in range(9)]
    root = ElementTree.fromstring(picture("all", [Panel("one", lambda _: [], legend)], 10, (1.0, 1.0)))
    svg = "{http://www.w3.org/2000/svg}"
    ends = [
        (float(one.get("x", "0")) + text_width(one.text or "", SMALL), float(one.get("y", "0")))
        for one in root.iter(f"{svg}text")
        if "chart-small" in one.get("class", "")
    ]
    assert len(ends) == 9 and len({y for _, y in ends}) > 3
    assert max(x for x, _ in ends) <= WIDTH / 2
    assert max(y for _, y in ends) < float(root.get("height", "0")) - 10


def test_a_legend_shows_lines_as_they_are_and_a_remark_stands_under_the_title() -> None:
    legend = [("kept", "chosen"), ("dashed", Line("soft", dashes="7 4")), ("coin", Line("soft", "dots"))]
    boxes: list[Box] = []

    def draw(box: Box) -> list[str]:
        boxes.append(box)
        return []

    plain, remarked = (picture("all", [Panel("one", draw, legend, remark)], 100) for remark in ("", "so many items"))
    root = ElementTree.fromstring(remarked)
    svg = "{http://www.w3.org/2000/svg}"
    dashed, dotted = root.iter(f"{svg}path")
    assert (dashed.get("class"), dashed.get("stroke-dasharray")) == ("chart-stroke chart-curve chart-soft", "7 4")
    assert (dotted.get("class"), dotted.get("stroke-dasharray")) == ("chart-stroke chart-dots chart-soft", None)
    assert [one.text for one in root.iter(f"{svg}text")] == ["one", "so many items", "kept", "dashed", "coin"]
    assert boxes[1].top - boxes[0].top == 22
    assert float(root.get("height", "0")) - float(ElementTree.fromstring(plain).get("height", "0")) == 22


def test_hostile_texts_stay_texts() -> None:
    hostile = "<b>&\"'</text>\x00"
    bars = [Bar(hostile, [Segment(1.0, "chosen", hostile)], hostile)]
    panels = [
        Panel(hostile, lambda box: stacked(box, bars), [(hostile, "chosen")]),
        Panel(hostile, lambda box: intervals(box, [Interval(hostile, hostile, 0.5, 0.4, 0.6)], "chosen", 0.5)),
        Panel(hostile, lambda box: steps(box, [("chosen", [1])], 1, [hostile])),
        Panel(
            hostile,
            lambda box: curves(box, [hostile], [Curve("series-0", [Point(0, 0.5, 0.4, 0.6, hostile)], hostile)], 0.5),
            [(hostile, Line("soft"))],
            hostile,
        ),
    ]
    text = picture(hostile, panels, 60, (1.0, 1.0), [(hostile, "chosen")], hostile)
    root = ElementTree.fromstring(text)
    assert {one.tag.rpartition("}")[2] for one in root.iter()} == {
        "svg", "style", "rect", "text", "title", "line", "circle", "g", "path",
    }  # fmt: skip
    assert "\x00" not in text and " id=" not in text
    assert picture(hostile, panels, 60, (1.0, 1.0), [(hostile, "chosen")], hostile) == text
