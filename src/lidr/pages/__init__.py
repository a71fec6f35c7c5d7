"""Pages and cards: the templates of lidr/templates, rendered to one file each that needs nothing beside itself.

HTML templates escape whatever is put into them but the SVG of `lidr.pages.figures`, in which all texts are escaped. A
page may have rows to browse (`browsable`), each of them

    {"id": "lab-17:es", "chips": [["es against en", ""]], "prompts": [pane, ...], "panes": [pane, ...], ...}
    pane: {"title": "m1", "source": "ended by stop", "text": "...", "lang": "es", "role": "chosen", "right": null}

with the fields that the page's menus choose from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Characters that neither HTML nor XML can hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
LONGEST = 100_000
# Of the texts of one page: beyond it, texts are cut to `SHORT`, so that a page of long answers still opens.
BUDGET, SHORT = 6_000_000, 2_000


def render(template: str, filters: Mapping[str, Callable[..., Any]] | None = None, **values: Any) -> str:
    """The page, card or report; raises jinja2.UndefinedError where a value of the template is missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        # Of all templates that the page is made of, whatever their own names.
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
    """Rows for lidr.js, what they are called, and names of menu entries; a pane's `cut` counts characters left out."""
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
    """The text with the replacement character for each that neither a page nor a figure can hold."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
