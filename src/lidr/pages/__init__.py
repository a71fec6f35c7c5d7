"""Renders the templates of lidr/templates to self-contained pages, cards and reports.

HTML templates escape all values except the SVG of `lidr.pages.figures`, in which all texts are escaped. A page may have
rows to browse (`browsable`), each of them

    {"id": "lab-17:es", "chips": [["es against en", ""]], "prompts": [pane, ...], "panes": [pane, ...], ...}
    pane: {"title": "m1", "source": "ended by stop", "text": "...", "lang": "es", "role": "chosen", "right": null}

with the fields that the page's menus filter by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Characters that are invalid in HTML and XML.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
LONGEST = 100_000
# Characters of all texts of a page. Beyond it, texts are cut to `SHORT`, so that a page of long answers still opens.
BUDGET, SHORT = 6_000_000, 2_000


def render(template: str, filters: Mapping[str, Callable[..., Any]] | None = None, **values: Any) -> str:
    """Render a template; raises jinja2.UndefinedError if a value is missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        # The page's name decides for all templates that it includes.
        autoescape=template.endswith(".html"),
        loader=PackageLoader("lidr"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"shown": shown, **(filters or {})}
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment.get_template(template).render(values)


def browsable(rows: Sequence[dict[str, Any]], unit: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The data of lidr.js: rows, their unit, and labels of menu entries; a pane's `cut` counts omitted characters."""
    left = BUDGET

    def shorten(pane: dict[str, Any]) -> dict[str, Any]:
        nonlocal left
        longest = LONGEST if left > 0 else SHORT
        text = pane["text"][:longest]
        left -= len(text)
        return pane | {"text": text, "cut": len(pane["text"]) - len(text)}

    whole = [row | {name: [shorten(pane) for pane in row[name]] for name in ("prompts", "panes")} for row in rows]
    return {"unit": unit, "labels": dict(labels or {}), "rows": whole}


def shown(text: str) -> str:
    """The text with invalid characters replaced by U+FFFD."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
