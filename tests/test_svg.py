"""SVG by hand: elements, escaping, numbers, and how wide a text is at most."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from lidr.svg import PALETTE, SERIES, SIZE, document, element, escape, fitted, number, text_width, title, words

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<b>&\"'</title></style> \u0000 \x1b \ud800 \uffff é"


def test_an_element_has_classes_attributes_and_what_is_inside() -> None:
    drawn = element("circle", "fill chosen", title("es: 0.98"), cx=10, cy=7.5, r=4.0)
    assert drawn == ('<circle class="chart-fill chart-chosen" cx="10" cy="7.5" r="4"><title>es: 0.98</title></circle>')
    assert element("rect", "", x=-0.001) == '<rect x="0"/>'


def test_words_name_their_anchor_only_where_it_is_not_the_start() -> None:
    assert words("a < b", 1, 2) == '<text x="1" y="2">a &lt; b</text>'
    assert words("a", 1, 2, "small", "end", tip="&") == (
        '<text class="chart-small" x="1" y="2" text-anchor="end"><title>&amp;</title>a</text>'
    )


def test_text_is_escaped_and_what_xml_cannot_hold_is_replaced() -> None:
    assert escape("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#39;"
    assert escape("a\x00\x1b\ud800\uffff\tb\n") == "a\ufffd\ufffd\ufffd\ufffd\tb\n"
    drawn = ElementTree.fromstring(element("text", "", title(HOSTILE), escape(HOSTILE), name=HOSTILE))
    readable = HOSTILE.translate(dict.fromkeys((0x0, 0x1B, 0xD800, 0xFFFF), "\ufffd"))
    assert (drawn[0].text, drawn[0].tail, drawn.get("name")) == (readable, readable, readable)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (100, "100"),
        (-0.001, "0"),
        (-0.0, "0"),
        (2.0, "2"),
        (1 / 3, "0.33"),
        (-1.5, "-1.5"),
        (0.1 + 0.2, "0.3"),
    ],
)
def test_numbers_have_two_decimals_at_most(value: float, text: str) -> None:
    assert number(value) == text


def test_a_text_that_has_no_room_ends_in_an_ellipsis() -> None:
    name = "ca-ES-valencia against en"
    assert fitted(name, text_width(name, SIZE), SIZE) == name
    cut = fitted(name, 80, SIZE)
    assert cut.endswith("…") and name.startswith(cut[:-1]) and len(cut) > 5
    assert text_width(cut, SIZE) <= 80
    assert fitted(name, 0, SIZE) == "…"


def test_widths_are_no_less_than_those_of_a_wide_font() -> None:
    # Of DejaVu Sans, in thousandths of the font's size.
    real = {"a": 613, "e": 615, "g": 635, "i": 278, "m": 974, "s": 521, "t": 392, "W": 989, "N": 748, "-": 361,
            "%": 950, "0": 636, ",": 318, " ": 318, "_": 500, "r": 411, "Q": 787, "+": 838, "Щ": 1094}  # fmt: skip
    for character, width in real.items():
        assert width / 1000 <= text_width(character, 1) <= width / 1000 + 0.15, character
    assert text_width("语言", 10) == 22


def test_a_document_stands_alone_in_either_theme() -> None:
    text = document('of "all" & <some>', 100, 50.5, [words("a", 1, 2)])
    root = ElementTree.fromstring(text)
    assert (root.tag, root.get("role"), root.get("aria-label")) == (f"{SVG}svg", "img", 'of "all" & <some>')
    assert (root.get("viewBox"), root.get("width"), root.get("height")) == ("0 0 100 50.5", "100", "50.5")
    light, dark = root.findtext(f"{SVG}style", "").split("@media (prefers-color-scheme:dark)")
    for name, colours in PALETTE.items():
        assert f".chart-{name}{{color:{colours[0]}}}" in light
        assert f".chart-{name}{{color:{colours[1]}}}" in dark


def test_every_rule_is_about_charts_only() -> None:
    style = ElementTree.fromstring(document("", 1, 1, [])).findtext(f"{SVG}style", "")
    selectors = re.findall(r"^([^{@}\n]+)\{", style, re.MULTILINE)
    assert len(selectors) > 2 * len(PALETTE)
    assert [selector for selector in selectors if not re.match(r"\.chart\b", selector)] == []
    assert "url" not in style and "@import" not in style


def test_the_palette_has_a_series() -> None:
    assert [name for name in PALETTE if name.startswith("series-")] == [f"series-{i}" for i in range(SERIES)]
