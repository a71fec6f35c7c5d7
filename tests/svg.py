"""The texts and tooltips of an SVG plot."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str | bytes) -> Element:
    return ElementTree.fromstring(text)


def words(root: Element) -> list[str]:
    """The visible texts, without tooltips."""
    return [one.text or "" for one in root.iter(f"{SVG}text")]


def tips(root: Element) -> list[str]:
    return list(dict.fromkeys(title.text or "" for title in root.iter(f"{SVG}title")))
