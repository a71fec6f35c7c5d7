"""The audit as a report in Markdown and as a page with a sample of pairs and drops to browse.

Both are made from templates/audit_sections.jinja, which has the words and tables; here is how figures become cells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lidr.audit import contamination, drift, reward
from lidr.audit.facts import FLAGS, SIDES
from lidr.audit.plots import OUTCOMES
from lidr.audit.report import Report
from lidr.audit.sample import Entry
from lidr.pages import browsable, render
from lidr.pairs.normalise import CHARACTERS, NEAR_IDENTICAL, WORDS
from lidr.records.languages import english_name

NONE = "–"
LISTED = 50  # overlaps that are listed one by one; contamination.jsonl has all
_TONES = {reward.GO_ON: "better", reward.STOP: "worse", reward.REVERSED: "worse"}
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|&])")


def markdown(report: Report) -> str:
    """The report for reading in git."""
    text = render("audit.md", filters=_FILTERS, **_values(report))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def html(report: Report, plots: Mapping[str, str]) -> str:
    """The page; the mapping holds the SVG of each plot by its name."""
    rows = [row | {"chips": _chips(row)} for row in report.pairs + report.drops]
    labels = {row["reason"]: row["reason"].replace("_", " ") for row in rows}
    labels |= {outcome: label for outcome, (label, _) in OUTCOMES.items()}
    return render(
        "audit.html",
        filters=_FILTERS,
        **_values(report),
        profile=report.settings.profile,
        tone=_TONES.get(reward.deciding(report.figures)["all"]["verdict"], "none"),
        tiles=_tiles(report),
        titles=[],
        plots=plots,
        sampled={"pairs": len(report.pairs), "drops": len(report.drops)},
        browse=browsable(rows, "rows of the sample", labels),
    )


def _values(report: Report) -> dict[str, Any]:
    """What audit_sections.jinja takes."""
    judge = report.settings.audit.judge

    def named(lang: str) -> str:
        dominant = " (dominant)" if lang == report.settings.dominant else ""
        return lang if lang == "all" else f"{lang} {english_name(lang)}{dominant}"

    return {
        "iteration": report.iteration,
        "settings": report.settings,
        "figures": report.figures,
        "recommendation": report.recommendation,
        "warnings": report.warnings,
        "previous": report.previous,
        "drift": drift.table(report.figures, report.previous),
        "overlaps": report.overlaps,
        "listed": LISTED,
        "level": f"{report.settings.audit.confidence:.0%}",
        "judged_by": getattr(judge, "model", "of the lab"),
        "flags": [f"{side}: {flag}" for side in SIDES for flag in FLAGS],
        "near_identical": NEAR_IDENTICAL,
        "near": contamination.NEAR,
        "words": WORDS,
        "characters": CHARACTERS,
        "named": named,
        "with_all": lambda figures: [("all", figures["all"]), *figures["by_language"].items()],
        "change": lambda before, now: NONE if before is None or now is None else f"{now - before:+.4g}",
    }


# --- cells -----------------------------------------------------------------------------------------------------------


def interval(row: Mapping[str, Any], name: str = "accuracy", digits: int = 3) -> str:
    """'0.920 [0.860, 0.950]', or a dash where it was not measured."""
    if name not in row:
        return NONE
    prefix = "" if name in ("accuracy", "chrf") else f"{name}_"
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    return f"{row[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def spread(row: Mapping[str, Any]) -> str:
    """Median and quarters of a distribution."""
    return f"{row['median']:,} ({row['q1']:,} to {row['q3']:,})" if row["n"] else NONE


def percent(share: float | None, digits: int = 1) -> str:
    """'3.1%', or a dash where there is nothing to divide."""
    return NONE if share is None else f"{share:.{digits}%}"


def p_value(value: float | None) -> str:
    """To three digits."""
    return NONE if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def number(value: float | None) -> str:
    """A count in full, anything else to four digits."""
    return NONE if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def escaped(text: str) -> str:
    """The text as one line of Markdown that shows it as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _most_first(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(found.items(), key=lambda item: (-item[1], item[0])))


_FILTERS: dict[str, Callable[..., Any]] = {
    "interval": interval,
    "spread": spread,
    "percent": percent,
    "p_value": p_value,
    "number": number,
    "markdown": escaped,
    "most_first": _most_first,
    "count": lambda value: f"{value:,}",
    "counts": lambda row, *names: [f"{row.get(name, 0):,}" for name in names],
    "percents": lambda row, *names: [percent(row.get(name, 0.0)) for name in names],
    "signed": lambda value: NONE if value is None else f"{value:+.1f}",
    "against": lambda direction: direction.replace(":", " against "),
    "arrow": lambda direction: direction.replace("-", " → "),
    "anchor": lambda title: re.sub(r"[^a-z]+", "-", title.lower()),
}


# --- the page alone --------------------------------------------------------------------------------------------------


def _chips(row: Entry) -> list[tuple[str, str]]:
    """(text, tone) of what stands beside a row's id."""
    chips = [
        (f"{row['lang']} against {row['other_lang']}", ""),
        (row["reason"].replace("_", " "), "worse" if row["kind"] == "drop" else ""),
    ]
    if row["outcome"]:
        tone = {"chosen_only": "better", "rejected_only": "worse"}.get(row["outcome"], "")
        chips.append((OUTCOMES[row["outcome"]][0], tone))
    chips += [(note, "worse") for note in row["notes"]]
    return chips if row["gold"] is None else [*chips, (f"gold: {row['gold']}", "")]


def _tiles(report: Report) -> Iterable[tuple[str, str]]:
    """(number, what it is) of what matters most."""
    counts, by_gold = report.figures["counts"], report.figures["reward"]["all"]
    rows = counts["pairs"] + counts["drops"]
    yield f"{counts['prompts']:,}", f"prompts x {counts['directions']} directions"
    yield f"{counts['pairs']:,}", "pairs"
    yield percent(counts["drops"] / rows if rows else None), f"dropped ({counts['drops']:,})"
    for name, found in (("reward", by_gold), ("judged", report.figures.get("judged", {}).get("all", {}))):
        if "accuracy" in found:
            yield f"{found['accuracy']:.3f}", f"{name} accuracy [{found['low']:.3f}, {found['high']:.3f}]"
    if by_gold["judged"]:
        shares = f"{by_gold['chosen_accuracy']:.0%} / {by_gold['rejected_accuracy']:.0%}"
        yield shares, "chosen / rejected answers right"
