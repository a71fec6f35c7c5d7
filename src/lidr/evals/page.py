"""A comparison as one HTML page that needs nothing beside itself: plots and styles are in it, and no script.

    >>> html(comparison, {"mgsm": "<svg ...", "alpaca": "<svg ..."})[:15]
    '<!doctype html>'

Texts of models and of the configuration are shown as text: the template escapes whatever is put into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lidr.browser import environment
from lidr.evals import report
from lidr.evals.comparison import AVERAGE, Benchmark, Change, Comparison


def html(comparison: Comparison, plots: Mapping[str, str]) -> str:
    """The page; `plots` holds the SVG of each benchmark by its name."""
    return (
        environment()
        .from_string(_PAGE)
        .render(
            models=comparison.models,
            profile=comparison.settings.profile,
            title=report.title(comparison),
            headlines=report.headlines(comparison),
            tiles=[_tile(comparison, benchmark) for benchmark in comparison.benchmarks],
            sections=[_section(comparison, benchmark, plots) for benchmark in comparison.benchmarks],
            how_to_read=report.how_to_read(comparison),
            facts=report.facts(comparison),
        )
    )


def _tile(comparison: Comparison, benchmark: Benchmark) -> dict[str, Any]:
    """The averages of all models at a glance."""
    averages = {model: benchmark.figures[model][AVERAGE] for model in comparison.models}
    changes = averages[comparison.models[-1]].changes
    change = changes.get(comparison.models[0])
    return {
        "name": f"{benchmark.title} {report.measure(comparison, benchmark)}, {_over(benchmark)}, %",
        "values": [(m, report.number(benchmark.points(f.level.estimate))) for m, f in averages.items()],
        "change": report.difference(benchmark, change) if change else "",
        "p": report.p_value(change.p) if change else "",
        "tone": _tone(comparison, change) if change else "none",
    }


def _over(benchmark: Benchmark) -> str:
    count = len(benchmark.languages)
    return f"average of {count} languages" if count > 1 else benchmark.languages[0]


def _section(comparison: Comparison, benchmark: Benchmark, plots: Mapping[str, str]) -> dict[str, Any]:
    from markupsafe import Markup

    span = _span(comparison, benchmark)
    lists = [
        {
            "title": f"{model} against {other}",
            "rows": [
                _difference(comparison, benchmark, model, other, place, span) for place in report.places(benchmark)
            ],
        }
        for model, other in report.comparisons(comparison)
    ]
    return {
        "name": benchmark.name,
        "title": f"{benchmark.title} {report.measure(comparison, benchmark)}",
        "what": benchmark.what,
        "plot": Markup(plots[benchmark.name]),
        "rows": [_levels(comparison, benchmark, place) for place in report.places(benchmark)],
        "zero": f"{_percent(0.0, span):.2f}",
        "lists": lists,
        "count_headings": report.count_headings(benchmark),
        "counts": [_counts(comparison, benchmark, lang) for lang in benchmark.languages],
        "has_baseline": bool(benchmark.baseline_off_target),
        "expected": benchmark.expected,
        "samples": benchmark.samples,
    }


def _levels(comparison: Comparison, benchmark: Benchmark, place: str) -> dict[str, Any]:
    """A row of the main table."""
    cells = []
    for model in comparison.models:
        figures = benchmark.figures[model][place]
        change = figures.changes.get(comparison.models[0])
        cells.append(
            {
                "value": report.number(benchmark.points(figures.level.estimate)),
                "marks": report.marks(comparison, model, figures),
                "interval": report.interval(comparison, benchmark, model, figures.level),
                "tone": _tone(comparison, change) if change else "none",
            }
        )
    return {
        "name": report.place_name(benchmark, place),
        "kind": "group" if place in benchmark.groups else _kind(comparison, place),
        "cells": cells,
        "n": report.items(benchmark, place),
    }


def _kind(comparison: Comparison, lang: str) -> str:
    settings = comparison.settings
    return "dominant" if lang == settings.dominant else "trained on" if lang in settings.languages else "transfer"


def _difference(
    comparison: Comparison, benchmark: Benchmark, model: str, other: str, place: str, span: tuple[float, float]
) -> dict[str, Any]:
    """A sentence, and its interval as a bar between `left` and `left + width` percent of the scale."""
    change = benchmark.figures[model][place].changes[other]
    low, middle, high = (
        _percent(benchmark.points(value), span) for value in (change.test.low, change.test.difference, change.test.high)
    )
    return {
        "name": place if place not in benchmark.groups else report.group_name(benchmark, place),
        "finding": report.finding(comparison, benchmark, change),
        "tone": _tone(comparison, change),
        "is_group": place in benchmark.groups,
        "left": f"{low:.2f}",
        "width": f"{high - low:.2f}",
        "middle": f"{middle:.2f}",
    }


def _tone(comparison: Comparison, change: Change) -> str:
    if not comparison.is_significant(change):
        return "none"
    return "better" if change.test.difference > 0 else "worse"


def _span(comparison: Comparison, benchmark: Benchmark) -> tuple[float, float]:
    """The scale of a benchmark's bars: all its intervals, and zero."""
    ends = [0.0]
    for model, other in report.comparisons(comparison):
        for place in report.places(benchmark):
            test = benchmark.figures[model][place].changes[other].test
            ends += [benchmark.points(test.low), benchmark.points(test.high)]
    margin = max(1.0, 0.04 * (max(ends) - min(ends)))
    return min(ends) - margin, max(ends) + margin


def _percent(points: float, span: tuple[float, float]) -> float:
    return 100 * (points - span[0]) / (span[1] - span[0])


def _counts(comparison: Comparison, benchmark: Benchmark, lang: str) -> dict[str, Any]:
    by_model = [benchmark.figures[model][lang] for model in comparison.models]
    return {
        "name": report.place_name(benchmark, lang),
        "by_model": [list(figures.counts.values()) for figures in by_model],
        "baseline": benchmark.baseline_off_target.get(lang, 0),
        "items": by_model[0].items,
    }


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lidr: {{ models | join(", ") }}</title>
<style>
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1c2430; --soft: #5d6878; --line: #e2e6ec; --zero: #9aa4b2;
  --better: #0a6b58; --better-tint: #e0f3ee; --worse: #a8401a; --worse-tint: #fcebe2; --bar: #8b95a4; --code: #f3f5f8; }
@media (prefers-color-scheme: dark) { :root {
  --page: #12161c; --card: #1b2129; --text: #e4e8ee; --soft: #98a3b3; --line: #2d3542; --zero: #5d6878;
  --better: #55d3b4; --better-tint: #12372f; --worse: #ff9d6c; --worse-tint: #452618; --bar: #717d8f; --code: #141920; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 36px 20px 64px; }
h1 { font-size: 28px; line-height: 1.25; margin: 0 0 14px; letter-spacing: -.01em; }
h2 { font-size: 21px; margin: 0 0 2px; }
h3 { font-size: 15px; margin: 28px 0 8px; }
p { margin: 0 0 10px; }
.eyebrow, .soft { color: var(--soft); }
.eyebrow { font-size: 13px; margin-bottom: 6px; }
.lead { font-size: 17px; max-width: 56em; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 16px; margin: 24px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 22px 24px;
  margin: 0 0 24px; }
.tiles .card { margin: 0; }
.steps { display: flex; flex-wrap: wrap; align-items: baseline; gap: 6px 18px; margin: 6px 0; }
.steps span { color: var(--soft); font-size: 13px; }
.steps b { font-size: 21px; font-weight: 600; color: var(--text); margin-left: 4px;
  font-variant-numeric: tabular-nums; }
.steps span:last-child b { font-size: 32px; }
.drawing { overflow-x: auto; margin: 4px -24px 0; }
.drawing svg { display: block; width: 100%; min-width: 680px; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { font-weight: 600; font-size: 13px; color: var(--soft); text-align: right; padding: 6px 10px; white-space: nowrap; }
td { text-align: right; padding: 7px 10px; border-top: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td small { color: var(--soft); font-size: 12px; margin-left: 6px; }
td b { font-weight: 600; }
td .mark { display: inline-block; width: 1.1em; text-align: left; }
tr.group td { background: var(--code); }
tr.group td:first-child { padding-left: 8px; white-space: normal; }
tr:not(.group) + tr.group td { border-top: 2px solid var(--line); }
.tag { font-size: 11px; color: var(--soft); border: 1px solid var(--line); border-radius: 99px; padding: 1px 8px;
  margin-left: 6px; }
.better { color: var(--better); } .worse { color: var(--worse); }
details { border-top: 1px solid var(--line); }
details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: 10px 0; font-weight: 600; }
summary .soft { font-weight: 400; }
.findings { list-style: none; margin: 0 0 14px; padding: 0; }
.findings li { display: grid; grid-template-columns: minmax(180px, 22%) 1fr; gap: 18px; font-size: 14.5px;
  align-items: center; padding: 5px 0; }
.findings li.group { background: var(--code); border-radius: 6px; }
.scale { position: relative; height: 18px; }
.scale i { position: absolute; }
.scale .zero { top: 0; bottom: 0; width: 1px; background: var(--zero); }
.scale .bar { top: 7px; height: 4px; border-radius: 2px; background: var(--bar); opacity: .55; min-width: 2px; }
.scale .dot { top: 4px; width: 10px; height: 10px; margin-left: -5px; border-radius: 50%; background: var(--bar); }
.scale.better .bar, .scale.better .dot { background: var(--better); }
.scale.worse .bar, .scale.worse .dot { background: var(--worse); }
.replies { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 12px; margin: 0 0 16px; }
.text { background: var(--code); border-radius: 8px; padding: 10px 12px; font-size: 14px; }
.said { white-space: pre-wrap; overflow-wrap: anywhere; }
.asked { margin: 0 0 10px; }
.reply { border-left: 3px solid var(--bar); }
.reply.good { border-color: var(--better); } .reply.bad { border-color: var(--worse); }
.reply .head { display: block; font-size: 12.5px; color: var(--soft); margin-bottom: 4px; }
.reply .head b { color: var(--text); }
.chip { font-size: 12px; font-weight: 600; border-radius: 99px; padding: 2px 9px; margin-right: 8px; }
.chip.gained { color: var(--better); background: var(--better-tint); }
.chip.lost { color: var(--worse); background: var(--worse-tint); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 10px 0 0; font-size: 14px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 720px) { .findings li { grid-template-columns: 1fr; gap: 2px; } }
@media print { body { background: #fff; } .card { break-inside: avoid; } }
</style>
</head>
<body>
<main>
<p class="eyebrow">lidr compare · profile {{ profile | shown }}</p>
<h1>{{ title }}</h1>
{% for text in headlines %}
<p class="lead">{{ text }}</p>
{% endfor %}

<div class="tiles">
{% for tile in tiles %}
<div class="card"><div class="soft">{{ tile.name }}</div>
<div class="steps">
{% for model, value in tile["values"] %}
<span>{{ model }} <b>{{ value }}</b></span>
{% endfor %}
</div>
<div><b class="{{ tile.tone }}">{{ tile.change }}</b> <span class="soft">{{ tile.p }}</span></div></div>
{% endfor %}
</div>

{% for section in sections %}
<section class="card" id="{{ section.name }}">
<h2>{{ section.title }}</h2>
<p class="soft">{{ section.what | shown }}</p>
<div class="drawing">{{ section.plot }}</div>

<h3>By language, in %, with intervals</h3>
<div class="wide"><table>
<thead><tr><th>language</th>{% for model in models %}<th>{{ model }}</th>{% endfor %}<th>n</th></tr></thead>
<tbody>
{% for row in section.rows %}
<tr{% if row.kind == "group" %} class="group"{% endif %}>
<td>{{ row.name }}{% if row.kind != "group" %}<span class="tag">{{ row.kind }}</span>{% endif %}</td>
{% for cell in row.cells %}
<td><b class="{{ cell.tone }}">{{ cell.value }}</b><span class="mark">{{ cell.marks }}</span>
  <small>{{ cell.interval }}</small></td>
{% endfor %}
<td>{{ row.n }}</td></tr>
{% endfor %}
</tbody></table></div>

{% if section.lists %}
<h3>Differences on the same items, in points</h3>
{% for list in section.lists %}
<details{{ " open" if loop.first }}><summary>{{ list.title }}</summary>
<ul class="findings">
{% for row in list.rows %}
<li{% if row.is_group %} class="group"{% endif %}>
<span class="scale {{ row.tone }}"><i class="zero" style="left:{{ section.zero }}%"></i>
  <i class="bar" style="left:{{ row.left }}%;width:{{ row.width }}%"></i>
  <i class="dot" style="left:{{ row.middle }}%"></i></span>
<span><b>{{ row.name }}</b>: {{ row.finding }}</span></li>
{% endfor %}
</ul></details>
{% endfor %}
{% endif %}

<h3>Answers with a defect: {{ section.count_headings | join(" / ") }}</h3>
<div class="wide"><table>
<thead><tr><th>language</th>{% for model in models %}<th>{{ model }}</th>{% endfor %}
{% if section.has_baseline %}
<th>baseline's off target</th>
{% endif %}
<th>of</th></tr></thead>
<tbody>
{% for row in section.counts %}
<tr><td>{{ row.name }}</td>
{% for counts in row.by_model %}
<td>{{ counts | join(" / ") }}</td>
{% endfor %}
{% if section.has_baseline %}
<td>{{ row.baseline }}</td>
{% endif %}
<td>{{ row["items"] }}</td></tr>
{% endfor %}
</tbody></table></div>

{% if section.samples %}
<h3>Samples, drawn by the hash of their id from all items gained and lost</h3>
{% for sample in section.samples %}
{% set change = "gained" if sample.gained else "lost" %}
<details{{ " open" if loop.first }}>
<summary><span class="chip {{ change }}">{{ change }}</span> {{ sample.lang }}
<span class="soft">{{ sample.id | shown }}
{% if sample.expected is not none %}
· {{ section.expected }} {{ sample.expected | shown | truncate(40) }}
{% endif %}
</span></summary>
<div class="text asked"><div class="said" dir="auto" lang="{{ sample.lang }}">{{ sample.prompt | shown }}</div></div>
<div class="replies">
{% for reply in sample.replies %}
<div class="text reply{{ ' good' if reply.good }}{{ ' bad' if reply.good is false }}">
<span class="head"><b>{{ reply.model }}</b> {{ ([reply.outcome] + (reply.notes | list)) | join(", ") }}</span>
<div class="said" dir="auto" lang="{{ sample.lang }}">{{ reply.text | shown }}</div></div>
{% endfor %}
</div></details>
{% endfor %}
{% endif %}
</section>
{% endfor %}

<section class="card">
<h2>How to read this</h2>
{% for text in how_to_read %}
<p>{{ text }}</p>
{% endfor %}
<h3>What was compared</h3>
<dl>
{% for name, value in facts %}
<dt>{{ name }}</dt><dd>{{ value | shown }}</dd>
{% endfor %}
</dl>
</section>
</main>
</body>
</html>
"""
