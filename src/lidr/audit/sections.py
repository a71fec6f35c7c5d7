"""The audit in words and tables, once, for the Markdown report and the page alike.

>>> [section.title for section in build(report)]
['The reward signal', 'From prompts to pairs', 'Lengths', ...]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lidr.audit.cells import NONE, change, count, interval, number, p_value, percent, spread
from lidr.audit.contamination import KINDS, NEAR
from lidr.audit.drift import table as drift_table
from lidr.audit.facts import FLAGS, SIDES
from lidr.audit.report import Report
from lidr.pairs.filters import reasons as all_reasons
from lidr.pairs.normalise import CHARACTERS, NEAR_IDENTICAL, WORDS
from lidr.records.languages import english_name

# Items listed one by one; contamination.jsonl has all.
LISTED = 50


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the row."""

    heading: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Section:
    """A title, what is to be seen and how it was measured, tables, and the plot's name."""

    title: str
    text: str
    tables: list[Table] = field(default_factory=list)
    plot: str | None = None


def build(report: Report) -> list[Section]:
    """All sections, the most important first."""
    return [
        _reward(report),
        _counts(report),
        _steps(report),
        _lengths(report),
        _drops_by_length(report),
        _languages(report),
        _quality(report),
        _fidelity(report),
        _round_trip(report),
        _contamination(report),
        _drift(report),
    ]


def _reward(report: Report) -> Section:
    reward = report.figures["reward"]
    groups = {"all": reward["all"]} | reward["by_language"]
    accuracy = Table(
        ("language", "reward accuracy", "chosen right", "rejected right", "prompts better / worse", "p", "verdict"),
        [
            (
                _language(report, lang),
                interval(row, ""),
                interval(row, "chosen_accuracy"),
                interval(row, "rejected_accuracy"),
                f"{row['prompts_better']:,} / {row['prompts_worse']:,}",
                p_value(row.get("p")),
                row["verdict"],
            )
            for lang, row in groups.items()
        ],
    )
    columns = ("pairs", "chosen_only", "both", "neither", "rejected_only", "unjudged")
    outcomes = Table(
        (
            "direction",
            "pairs",
            "chosen right only",
            "both",
            "neither",
            "rejected right only",
            "not judged",
            "reward accuracy",
        ),
        [
            (f"{name.replace(':', ' against ')}", *(count(row[column]) for column in columns), interval(row, ""))
            for name, row in reward["by_direction"].items()
        ],
    )
    text = (
        "On prompts with a gold answer: which of the two answers is right? Reward accuracy is the share of pairs with "
        "chosen right and rejected wrong among those where just one is right; 0.5 is a coin. Brackets are "
        f"{report.settings.audit.confidence:.0%} intervals (Wilson). The verdict is an exact one-sided binomial test "
        "that counts each prompt once."
    )
    return Section("The reward signal", text, [accuracy, outcomes], "reward")


def _counts(report: Report) -> Section:
    counts = report.figures["counts"]
    reasons = [reason for reason in all_reasons() if counts["by_reason"].get(reason)]
    rows = {_language(report, lang): row for lang, row in counts["by_language"].items()}
    rows |= {name.replace(":", " against "): row for name, row in counts["by_direction"].items()}
    table = Table(
        ("pairs in", "prompts x directions", "pairs", "drops", *reasons),
        [
            (name, *(count(row.get(column, 0)) for column in ("prompts", "pairs", "drops", *reasons)))
            for name, row in rows.items()
        ],
    )
    text = (
        f"{counts['prompts']:,} prompts x {counts['directions']} directions = {counts['pairs']:,} pairs + "
        f"{counts['drops']:,} drops, checked prompt by prompt. {counts['prompts_with_gold']:,} prompts have a gold "
        "answer."
    )
    return Section("From prompts to pairs", text, [table], "drops")


def _steps(report: Report) -> Section:
    counts = report.figures["counts"]
    names = ("prompts", "answers", "stop", "length", "refused", "out_of_memory", "empty", "missing")
    answers = Table(
        ("answers in", "prompts", "answers", "ended by itself", "cut off", "refused", "too large", "empty", "missing"),
        [(_language(report, lang), *(count(row[name]) for name in names)) for lang, row in counts["answers"].items()],
    )
    columns = ("prompts", "not_asked", "translations", "parsed", "unparsed", "cut_off", "empty", "tolerated")
    translations = Table(
        ("translations", "prompts", "not asked for", "made", "parsed", "unparsed", "cut off", "empty", "tolerated"),
        [
            (name.replace("-", " → "), *(count(row[column]) for column in columns))
            for name, row in counts["translations"].items()
        ],
    )
    text = (
        "A translation is not asked for where the answer was cut off, refused, empty or too large for the device's "
        "memory, or where the prompt is itself a translation request. 'Tolerated' departs from the wording's format "
        "in a way that was accepted."
    )
    return Section("Answers and translations", text, [answers, translations])


def _lengths(report: Report) -> Section:
    rows = []
    for lang, row in report.figures["lengths"]["by_language"].items():
        rows.append(
            (
                _language(report, lang),
                spread(row["chosen"]),
                spread(row["rejected"]),
                f"{row['difference']['mean']:+.1f}" if row["difference"]["n"] else NONE,
                percent(row.get("chosen_longer")),
                percent(row.get("chosen_shorter")),
                spread(row["answer_tokens"]),
            )
        )
    heading = (
        "language",
        "chosen",
        "rejected",
        "mean difference",
        "chosen longer",
        "chosen shorter",
        "own answers, tokens",
    )
    text = (
        "Median (quarter to three quarters) of the lengths in characters, and in tokens where the count is recorded: "
        "for a model's own answers. Where chosen answers are longer, length itself is rewarded."
    )
    return Section("Lengths", text, [Table(heading, rows)], "lengths")


def _drops_by_length(report: Report) -> Section:
    figures = report.figures["lengths"]["drops"]
    reasons = [r for r in all_reasons() if any(r in q for q in figures["quarters"].values())]
    rows = [
        (
            f"{quarter['from']:,} to {quarter['to']:,}",
            count(quarter["prompts"]),
            percent(quarter["dropped"]),
            percent(quarter["failed"]),
            *(percent(quarter.get(reason, 0.0)) for reason in reasons),
        )
        for quarter in figures["quarters"].values()
    ]
    bias = figures.get("bias")
    measured = (
        f" Failed, longest less shortest: {100 * bias['difference']:+.1f} points [{100 * bias['low']:+.1f}, "
        f"{100 * bias['high']:+.1f}], over prompts."
        if bias
        else ""
    )
    text = (
        "The share of a prompt's directions that was dropped, by the length of its dominant answer. 'Failed' leaves "
        f"identical answers out, in which there is nothing to prefer.{measured}"
    )
    heading = ("dominant answer, characters", "prompts", "dropped", "failed", *reasons)
    return Section("Drops by length", text, [Table(heading, rows)])


def _languages(report: Report) -> Section:
    rows = [
        (
            _language(report, lang),
            side,
            count(row["judged"]),
            count(row["unknown"]),
            count(row["off_target"]),
            percent(row.get("off_target_share")),
            count(row["sentences"]),
            percent(row.get("other_sentences_share")),
            ", ".join(
                f"{code} {n:,}" for code, n in sorted(row["found"].items(), key=lambda item: (-item[1], item[0]))
            ),
        )
        for lang, by_side in report.figures["languages"].items()
        for side, row in by_side.items()
    ]
    heading = (
        "pairs in",
        "side",
        "judged",
        "too short",
        "off target",
        "share",
        "sentences",
        "in another",
        "identified as",
    )
    text = (
        "By py3langid, among the iteration's languages, English and their near neighbours: each text as a whole, and "
        "the share of its sentences that are in another language (docs/language.md says how well these are found)."
    )
    return Section("Languages", text, [Table(heading, rows)], "languages")


def _quality(report: Report) -> Section:
    quality = report.figures["quality"]
    rows = [
        (
            _language(report, lang),
            count(row["pairs"]),
            count(row["near_identical"]),
            *(count(row[side][flag]) for side in SIDES for flag in FLAGS),
        )
        for lang, row in quality["by_language"].items()
    ]
    heading = ("language", "pairs", "near-identical", *(f"{side}: {flag}" for side in SIDES for flag in FLAGS))
    tables = [Table(heading, rows)]
    if quality["markers"]:
        tables.append(Table(("marker", "texts"), [(name, count(n)) for name, n in quality["markers"].items()]))
    text = (
        f"Near-identical: Dice's coefficient of the character trigrams of both answers, folded, is {NEAR_IDENTICAL} or "
        "more. Repeated: a loop at the end, or half of the 4-grams of words said before. Markers: leftovers of the "
        "translation request or of a chat template. Refusals: a documented list of openings."
    )
    return Section("The look of the texts", text, tables)


def _fidelity(report: Report) -> Section:
    rows = [
        (
            name.replace("-", " → "),
            count(row["translations"]),
            count(row["with_numbers"]),
            interval(row, "numbers_share"),
            count(row["with_answer"]),
            interval(row, "answer_share"),
            count(row["world"]),
            interval(row, "exact_share"),
        )
        for name, row in report.figures["fidelity"].items()
    ]
    heading = (
        "direction",
        "translations",
        "with numbers",
        "numbers kept",
        "with an answer",
        "answer kept",
        "in the lab's world",
        "exact",
    )
    text = (
        "Whether a translated answer still holds the numbers of the answer, each as often; where the gold answer is a "
        "number, whether it still arrives at the answer's number, right or wrong; and, for answers that fit the lab's "
        "world, whether it is the exact translation, mistakes kept."
    )
    return Section("Translation fidelity", text, [Table(heading, rows)])


def _round_trip(report: Report) -> Section:
    figures = report.figures["round_trip"]
    rows = [
        (
            name.replace("-", " → ") + f" → {name.partition('-')[0]}",
            count(row["n"]),
            count(row["unparsed"]),
            f"{row['chrf']:.1f} [{row['low']:.1f}, {row['high']:.1f}]" if "chrf" in row else NONE,
            count(row["same"]),
        )
        for name, row in figures.items()
    ]
    text = (
        f"A sample of answers (translate.round_trip: {report.settings.translate.round_trip} a direction), translated "
        "and translated back by the same model: mean chrF (sacrebleu; 100 is the same text) of what came back, with "
        f"its {report.settings.audit.confidence:.0%} bootstrap interval. What is lost on the way back counts as well, "
        "and a text that was copied comes back whole."
    )
    heading = ("there and back", "answers", "unparsed", "chrF", "the same text")
    return Section("Round trip", text, [Table(heading, rows)])


def _contamination(report: Report) -> Section:
    rows = [
        (
            name,
            {"prompt": "training prompts", "chosen": "chosen answers"}[kind],
            count(evaluation["items"]),
            *(count(evaluation[kind][column]) for column in ("exact", "near", "any")),
            f"{evaluation[kind]['mean_share']:.3f}",
        )
        for name, evaluation in report.figures["contamination"].items()
        for kind in KINDS
    ]
    tables = [Table(("evaluation", "against", "items", "exact", "near", "any", "mean greatest share"), rows)]
    if report.overlaps:
        listed = [
            (
                f"{o.evaluation} {o.item}",
                o.lang,
                o.kind,
                "exact" if o.exact else "near",
                f"{o.share:.2f}",
                str(o.texts),
                o.id,
            )
            for o in report.overlaps[:LISTED]
        ]
        tables.append(Table(("item", "language", "text", "overlap", "share", "texts", "nearest text's id"), listed))
    more = f" The first {LISTED} of {len(report.overlaps):,} are listed." if len(report.overlaps) > LISTED else ""
    text = (
        "Evaluation items in the training texts. Exact: the same words. Near: one text holds "
        f"{NEAR:.0%} or more of the item's n-grams ({WORDS} words; {CHARACTERS} characters in scripts without spaces). "
        "Any: at least one n-gram in common, as a template or a stock phrase gives; expected where texts are made from "
        f"templates. contamination.jsonl lists exact and near overlaps by id.{more}"
    )
    return Section("Contamination", text, tables)


def _drift(report: Report) -> Section:
    rows = [
        (name, number(before), number(now), change(before, now))
        for name, before, now in drift_table(report.figures, report.previous)
    ]
    if report.previous is None:
        text = "There is no audited iteration before this one."
        return Section(
            "Key figures", text, [Table(("figure", "now"), [(row[0], row[2]) for row in rows])], "iterations"
        )
    text = f"The same figures of {report.previous['iteration']} and {report.iteration}."
    heading = ("figure", report.previous["iteration"], report.iteration, "change")
    return Section("Drift against the iteration before", text, [Table(heading, rows)], "iterations")


def _language(report: Report, lang: str) -> str:
    if lang == "all":
        return "all"
    return f"{lang} {english_name(lang)}" + (" (dominant)" if lang == report.settings.dominant else "")
