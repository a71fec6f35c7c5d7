"""The audit as one HTML page that needs nothing beside itself: plots, style and script are in it.

    >>> html(report, plots)[:15]
    '<!doctype html>'

Whatever comes from a model, a prompt or the configuration is shown as text: the template escapes what is put into it,
the sample's data hold no character that could end their script element, and the page forbids itself (by its content
security policy) to load or send anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lidr.audit import reward
from lidr.audit.report import Report
from lidr.audit.sections import Section, build
from lidr.browser import POLICY, SCRIPT, STYLE, cut, embedded, environment

_TONES = {reward.GO_ON: "better", reward.STOP: "worse", reward.REVERSED: "worse"}


def html(report: Report, plots: Mapping[str, str]) -> str:
    """The page; the mapping holds the SVG of each plot by its name."""
    from markupsafe import Markup

    return (
        environment()
        .from_string(_PAGE)
        .render(
            iteration=report.iteration,
            profile=report.settings.profile,
            recommendation=report.recommendation,
            tone=_TONES.get(report.figures["reward"]["all"]["verdict"], "none"),
            warnings=report.warnings,
            tiles=_tiles(report),
            sections=[_section(section, plots) for section in build(report)],
            pairs=len(report.pairs),
            drops=len(report.drops),
            data=Markup(embedded(cut(report.pairs + report.drops))),
            style=Markup(STYLE),
            script=Markup(SCRIPT + _BROWSE),
            policy=Markup(POLICY),
        )
    )


def _tiles(report: Report) -> list[tuple[str, str]]:
    """(number, what it is) of what matters most."""
    figures = report.figures
    counts, whole = figures["counts"], figures["reward"]["all"]
    rows = counts["pairs"] + counts["drops"]
    tiles = [
        (f"{counts['prompts']:,}", f"prompts x {counts['directions']} directions"),
        (f"{counts['pairs']:,}", "pairs"),
    ]
    tiles.append((f"{counts['drops'] / rows:.1%}" if rows else "–", f"dropped ({counts['drops']:,})"))
    if "accuracy" in whole:
        tiles.append((f"{whole['accuracy']:.3f}", f"reward accuracy [{whole['low']:.3f}, {whole['high']:.3f}]"))
    if whole["judged"]:
        right = f"{whole['chosen_accuracy']:.0%} / {whole['rejected_accuracy']:.0%}"
        tiles.append((right, "chosen / rejected answers right"))
    return tiles


def _section(section: Section, plots: Mapping[str, str]) -> dict[str, Any]:
    from markupsafe import Markup

    return {
        "title": section.title,
        "anchor": re.sub(r"[^a-z]+", "-", section.title.lower()),
        "text": section.text,
        "tables": section.tables,
        "plot": Markup(plots[section.plot]) if section.plot else "",
    }


# What of a pair or a drop is chosen from menus, and what stands beside its id.
_BROWSE = """
(() => {
  const OUTCOMES = { chosen_only: "chosen right only", both: "both right", neither: "neither right",
    rejected_only: "rejected right only", unjudged: "not judged" };
  browse({
    fields: ["kind", "lang", "reason", "outcome", "note"],
    unit: "rows of the sample",
    values: (entry, field) => field === "note" ? entry.notes : entry[field] ? [entry[field]] : [],
    label: (field, name) => OUTCOMES[name] || name.replaceAll("_", " "),
    chips: (entry) => {
      const made = [element("span", "chip", entry.lang + " against " + entry.other_lang)];
      made.push(element("span", "chip" + (entry.kind === "drop" ? " worse" : ""), entry.reason.replaceAll("_", " ")));
      if (entry.outcome) {
        const tone = { chosen_only: " better", rejected_only: " worse" }[entry.outcome] || "";
        made.push(element("span", "chip" + tone, OUTCOMES[entry.outcome]));
      }
      for (const note of entry.notes) made.push(element("span", "chip worse", note));
      if (entry.gold !== null) made.push(element("span", "chip", "gold: " + entry.gold));
      return made;
    },
  });
})();
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>lidr: audit of {{ iteration }}</title>
<style>{{ style }}</style>
</head>
<body>
<nav><div>
<a href="#look">Look at the data</a>
{% for section in sections %}
<a href="#{{ section.anchor }}">{{ section.title }}</a>
{% endfor %}
</div></nav>
<main>
<p class="eyebrow">lidr · profile {{ profile | shown }}</p>
<h1>Audit of {{ iteration }}: what the pairs are</h1>
<p class="verdict {{ tone }}">{{ recommendation | shown }}</p>
<div class="tiles">
{% for number, what in tiles %}
<div class="tile"><b>{{ number }}</b><span>{{ what }}</span></div>
{% endfor %}
</div>
{% if warnings %}
<ul class="warnings">
{% for warning in warnings %}
<li>{{ warning | shown }}</li>
{% endfor %}
</ul>
{% endif %}
{% for section in sections %}
<section class="card" id="{{ section.anchor }}">
<h2>{{ section.title }}</h2>
<p>{{ section.text | shown }}</p>
{% if section.plot %}
<div class="drawing">{{ section.plot }}</div>
{% endif %}
{% for table in section.tables %}
<div class="wide"><table>
<thead><tr>{% for cell in table.heading %}<th>{{ cell | shown }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>{% for cell in row %}<td>{{ cell | shown }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}
</section>
{% endfor %}
<section class="card" id="look">
<h2>Look at the data</h2>
<p>A sample of {{ pairs }} pairs and {{ drops }} drops, the same for the same data. Rare kinds are shown more often than
they occur. The search takes words of an id, a reason or a text.</p>
<div class="filters">
<input id="q" type="search" placeholder="Search by id, reason or text" aria-label="Search" autocomplete="off">
<select id="kind" aria-label="Pairs or drops"><option value="">pairs and drops</option></select>
<select id="lang" aria-label="Language"><option value="">all languages</option></select>
<select id="reason" aria-label="Rule or reason"><option value="">all rules and reasons</option></select>
<select id="outcome" aria-label="Which answer is right"><option value="">all outcomes</option></select>
<select id="note" aria-label="Remarks"><option value="">with or without remarks</option></select>
</div>
<p class="soft" id="found" role="status"><noscript>The sample needs JavaScript; all else here does not.</noscript></p>
<div id="rows"></div>
<button id="more" type="button" hidden>Show more</button>
</section>
<footer><p>Made by <code>lidr audit {{ iteration }}</code>; the same data give the same bytes.</p></footer>
</main>
<script type="application/json" id="data">{{ data }}</script>
<script>{{ script }}</script>
</body>
</html>
"""
