"""A self-contained page in which rows of texts can be looked at and searched: its style, its script, its data.

    >>> embedded({"text": "</script>"})
    '{"text":"\\u003c/script\\u003e"}'

The script builds everything with `textContent`, so that no text of a model or a prompt is ever read as HTML; characters
that cannot be seen (right-to-left marks, controls) are shown by their code. The address holds the search, so that one
can be linked: `index.html#q=lab-17&kind=pair&lang=es`. A page gives its rows as

    {"id": "lab-17:es", "prompts": [pane, ...], "panes": [pane, ...], "notes": ["truncated"], "detail": "", ...}
    pane: {"title": "m1", "source": "ended by stop", "text": "...", "lang": "es", "role": "chosen", "right": null}

and says in a script of its own, `browse({fields, values, label, chips, unit})`, which of a row's values can be chosen
from menus and which stand beside its id.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

LONGEST = 100_000
# Of the texts of one page: beyond it, texts are cut to `SHORT`, so that a page of long answers still opens.
BUDGET, SHORT = 6_000_000, 2_000

# A page that holds its style, script and pictures itself, and may load or send nothing.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)

# Characters that HTML cannot hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_IN_SCRIPT = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def environment() -> Environment:
    """Templates that escape whatever is put into them, fail on what is missing, and have the filter `shown`."""
    from jinja2 import Environment, StrictUndefined

    made = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    made.filters["shown"] = lambda text: _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return made


def embedded(data: object) -> str:
    """JSON that can stand in a script element: no text in it can end the element or open a comment."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).translate(_IN_SCRIPT)


def cut(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries with texts no longer than a page can hold; `cut` counts the characters left out."""
    left = BUDGET

    def shorten(pane: dict[str, Any]) -> dict[str, Any]:
        nonlocal left
        longest = LONGEST if left > 0 else SHORT
        text = pane["text"][:longest]
        left -= len(text)
        return pane | {"text": text, "cut": len(pane["text"]) - len(text)}

    return [
        entry | {name: [shorten(pane) for pane in entry[name]] for name in ("prompts", "panes")} for entry in entries
    ]


STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1c2430; --soft: #5d6878; --line: #e2e6ec; --code: #f3f5f8;
  --better: #0a6b58; --better-tint: #e0f3ee; --worse: #a8401a; --worse-tint: #fcebe2; --accent: #2f5fb3; }
@media (prefers-color-scheme: dark) { :root {
  --page: #12161c; --card: #1b2129; --text: #e4e8ee; --soft: #98a3b3; --line: #2d3542; --code: #141920;
  --better: #55d3b4; --better-tint: #12372f; --worse: #ff9d6c; --worse-tint: #452618; --accent: #8fb4f5; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 76px; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 64px; }
h1 { font-size: 28px; line-height: 1.25; margin: 0 0 14px; letter-spacing: -.01em; }
h2 { font-size: 20px; margin: 0 0 4px; }
p { margin: 0 0 10px; }
a { color: var(--accent); }
.eyebrow, .soft { color: var(--soft); }
.eyebrow { font-size: 13px; margin-bottom: 6px; }
nav { position: sticky; top: 0; z-index: 2; background: var(--page); border-bottom: 1px solid var(--line); }
nav div { max-width: 1120px; margin: 0 auto; padding: 10px 20px; display: flex; flex-wrap: wrap;
  gap: 2px 18px; font-size: 13px; white-space: nowrap; }
nav a { color: var(--soft); text-decoration: none; }
nav a:hover { color: var(--text); }
.verdict { border-radius: 12px; padding: 16px 20px; margin: 0 0 18px; font-size: 17px; background: var(--code);
  border: 1px solid var(--line); }
.verdict.better { background: var(--better-tint); color: var(--better); border-color: transparent; }
.verdict.worse { background: var(--worse-tint); color: var(--worse); border-color: transparent; }
.warnings { margin: 0 0 20px; padding: 0; list-style: none; }
.warnings li { padding: 7px 14px; border-left: 3px solid var(--worse); background: var(--card); margin-bottom: 6px;
  border-radius: 0 8px 8px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 14px; margin: 0 0 24px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 18px; }
.tile b { display: block; font-size: 26px; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tile span { color: var(--soft); font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 22px 24px;
  margin: 0 0 22px; }
.card > p { max-width: 62em; color: var(--soft); }
.drawing { overflow-x: auto; margin: 4px -24px 0; }
.drawing svg { display: block; width: 100%; min-width: 680px; height: auto; }
.wide { overflow-x: auto; margin: 14px 0 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th { font-weight: 600; font-size: 12.5px; color: var(--soft); text-align: right; padding: 6px 10px;
  vertical-align: bottom; }
td { text-align: right; padding: 6px 10px; border-top: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:last-child, th:last-child { padding-right: 0; }
.filters { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0 8px; }
.filters input, .filters select, button { font: inherit; font-size: 14px; color: var(--text); background: var(--code);
  border: 1px solid var(--line); border-radius: 8px; padding: 7px 10px; max-width: 100%; }
.filters input { flex: 1 1 100%; }
.filters select { flex: 1 1 auto; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
button { cursor: pointer; }
#more { display: block; margin: 18px auto 0; }
.row { border-top: 1px solid var(--line); padding: 18px 0 16px; }
.row header { display: flex; flex-wrap: wrap; gap: 8px; align-items: baseline; margin-bottom: 10px; }
.row header b { font-size: 15px; overflow-wrap: anywhere; }
.chip { font-size: 12px; border: 1px solid var(--line); border-radius: 99px; padding: 1px 9px; color: var(--soft); }
.chip.better { color: var(--better); background: var(--better-tint); border-color: transparent; }
.chip.worse { color: var(--worse); background: var(--worse-tint); border-color: transparent; }
.panes { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 10px;
  margin-bottom: 10px; }
.pane { background: var(--code); border-radius: 8px; padding: 8px 12px 10px; border-left: 3px solid var(--line);
  min-width: 0; }
.pane.chosen { border-left-color: var(--better); } .pane.rejected { border-left-color: var(--worse); }
.pane h4 { margin: 0 0 3px; font-size: 12.5px; font-weight: 600; display: flex; gap: 8px; flex-wrap: wrap;
  align-items: baseline; }
.pane h4 span.soft { font-weight: 400; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; max-height: 70vh; overflow-y: auto; }
.text .code { font: 11px ui-monospace, monospace; color: var(--worse); border: 1px solid var(--line);
  border-radius: 4px; padding: 0 3px; unicode-bidi: isolate; direction: ltr; }
.pane button { font-size: 12px; padding: 2px 9px; margin-top: 6px; }
details summary { cursor: pointer; color: var(--soft); font-size: 13px; margin-bottom: 8px; }
footer { color: var(--soft); font-size: 13px; }
@media print { nav, .filters, #more { display: none; } }
"""

SCRIPT = r"""
"use strict";
const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const browse = (page) => {
  const entries = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 20, FOLDED = 700;
  const UNSEEN = new RegExp("[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u200b-\\u200f" +
    "\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb]", "g");
  const fields = page.fields;
  const search = document.getElementById("q"), list = document.getElementById("rows");
  const more = document.getElementById("more"), found = document.getElementById("found");
  const menus = Object.fromEntries(fields.map((name) => [name, document.getElementById(name)]));
  let matching = [], shown = 0;

  function haystack(entry) {
    const texts = [...entry.prompts, ...entry.panes].map((pane) => pane.text.slice(0, 2000));
    return [entry.id, entry.reason || "", entry.detail || "", ...entry.notes, ...texts].join("\n").toLowerCase();
  }

  // Text as text; what cannot be seen is shown by its code.
  function write(target, text) {
    let end = 0;
    for (const match of text.matchAll(UNSEEN)) {
      target.append(text.slice(end, match.index));
      const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      target.append(element("span", "code", "U+" + code));
      end = match.index + 1;
    }
    target.append(text.slice(end));
  }

  function pane(data) {
    const box = element("div", "pane " + data.role);
    const heading = element("h4", "", data.title);
    heading.append(element("span", "soft", data.source));
    if (data.right !== null) {
      heading.append(element("span", "chip " + (data.right ? "better" : "worse"), data.right ? "right" : "wrong"));
    }
    const body = element("div", "text");
    body.dir = "auto";
    body.lang = data.lang;
    box.append(heading, body);
    const folded = data.text.length > FOLDED;
    write(body, folded ? data.text.slice(0, FOLDED) + " …" : data.text || "(no text)");
    if (!data.text) body.classList.add("soft");
    if (folded) box.append(unfold(body, data));
    return box;
  }

  function unfold(body, data) {
    const cut = data.cut ? " (" + data.cut.toLocaleString("en") + " more are not on this page)" : "";
    const label = "Show all " + data.text.length.toLocaleString("en") + " characters" + cut;
    const button = element("button", "", label);
    button.type = "button";
    let open = false;
    button.addEventListener("click", () => {
      open = !open;
      body.replaceChildren();
      write(body, open ? data.text : data.text.slice(0, FOLDED) + " …");
      button.textContent = open ? "Show less" : label;
    });
    return button;
  }

  function row(entry) {
    const box = element("article", "row");
    const header = element("header");
    header.append(element("b", "", entry.id), ...page.chips(entry), element("span", "soft", entry.source));
    box.append(header);
    if (entry.detail) box.append(element("p", "soft", entry.detail));
    const groups = [entry.prompts, entry.panes.slice(0, 2), entry.panes.slice(2)];
    for (const group of groups) {
      if (!group.length) continue;
      const panes = element("div", "panes");
      panes.append(...group.map(pane));
      box.append(panes);
    }
    return box;
  }

  function showMore() {
    const next = matching.slice(shown, shown + PAGE);
    list.append(...next.map(row));
    shown += next.length;
    more.hidden = shown >= matching.length;
    more.textContent = "Show " + Math.min(PAGE, matching.length - shown) + " more";
  }

  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    matching = entries.filter((entry) =>
      words.every((word) => entry.haystack.includes(word)) &&
      fields.every((field) => !menus[field].value || page.values(entry, field).includes(menus[field].value)));
    found.textContent = matching.length + " of " + entries.length + " " + page.unit;
    list.replaceChildren();
    shown = 0;
    showMore();
  }

  function remember() {
    const state = new URLSearchParams();
    if (search.value) state.set("q", search.value);
    for (const field of fields) if (menus[field].value) state.set(field, menus[field].value);
    history.replaceState(null, "", "#" + (state.size ? state : "look"));
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    search.value = state.get("q") || "";
    for (const field of fields) menus[field].value = state.get(field) || "";
  }

  for (const entry of entries) entry.haystack = haystack(entry);
  for (const field of fields) {
    const names = [...new Set(entries.flatMap((entry) => page.values(entry, field)))].sort();
    for (const name of names) {
      const option = element("option", "", page.label(field, name));
      option.value = name;
      menus[field].append(option);
    }
    menus[field].addEventListener("change", () => { apply(); remember(); });
  }
  search.addEventListener("input", () => { apply(); remember(); });
  more.addEventListener("click", showMore);
  window.addEventListener("hashchange", () => { if (location.hash.includes("=")) { recall(); apply(); } });
  recall();
  apply();
  if (location.hash.includes("=")) document.getElementById("look").scrollIntoView();
};
"""
