"""The audit as one HTML page (templates/audit.html), with a sample of pairs and drops to browse.

>>> html(report, plots)[:15]
'<!doctype html>'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lidr.audit import reward
from lidr.audit.report import Report
from lidr.audit.sample import Entry
from lidr.audit.sections import Section, build
from lidr.pages import browsable, drawings, render

OUTCOMES = {
    "chosen_only": "chosen right only",
    "both": "both right",
    "neither": "neither right",
    "rejected_only": "rejected right only",
    "unjudged": "not judged",
}
_TONES = {reward.GO_ON: "better", reward.STOP: "worse", reward.REVERSED: "worse"}


def html(report: Report, plots: Mapping[str, str]) -> str:
    """The page; the mapping holds the SVG of each plot by its name."""
    rows, drawn = [row | {"chips": _chips(row)} for row in report.pairs + report.drops], drawings(plots)
    return render(
        "audit.html",
        iteration=report.iteration,
        profile=report.settings.profile,
        recommendation=report.recommendation,
        tone=_TONES.get(report.figures["reward"]["all"]["verdict"], "none"),
        warnings=report.warnings,
        tiles=_tiles(report),
        sections=[_section(section, drawn) for section in build(report)],
        pairs=len(report.pairs),
        drops=len(report.drops),
        browse=browsable(rows, "rows of the sample", _labels(rows)),
    )


def _labels(rows: list[Entry]) -> dict[str, str]:
    """How rules, reasons and outcomes are called in the menus."""
    return {row["reason"]: row["reason"].replace("_", " ") for row in rows} | OUTCOMES


def _chips(row: Entry) -> list[tuple[str, str]]:
    """(text, tone) of what stands beside a row's id."""
    chips = [
        (f"{row['lang']} against {row['other_lang']}", ""),
        (row["reason"].replace("_", " "), "worse" if row["kind"] == "drop" else ""),
    ]
    if row["outcome"]:
        tone = {"chosen_only": "better", "rejected_only": "worse"}.get(row["outcome"], "")
        chips.append((OUTCOMES[row["outcome"]], tone))
    chips += [(note, "worse") for note in row["notes"]]
    return chips if row["gold"] is None else [*chips, (f"gold: {row['gold']}", "")]


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


def _section(section: Section, plots: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": section.title,
        "anchor": re.sub(r"[^a-z]+", "-", section.title.lower()),
        "text": section.text,
        "tables": section.tables,
        "plot": plots[section.plot] if section.plot else "",
    }
