"""A comparison in words: sentences, the table for the terminal, report.md.

>>> sentence(comparison, mgsm, "m2", "m0", "es")
'es: +31.2 points [24.0, 38.0], p < 0.001 (Holm), n = 250 (80 gained, 2 lost)'
>>> sentence(comparison, mgsm, "m2", "m0", "en")
'en: no significant difference: +0.4 points [-2.1, 2.9], p = 1.000 (Holm), n = 250 (3 gained, 2 lost)'
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lidr import paths
from lidr.compare.comparison import AVERAGE, TRAINED, TRANSFER, Change, Comparison, Figures, Results
from lidr.compare.samples import Sample
from lidr.evaluation.statistics import Interval
from lidr.records.languages import english_name

AGAINST_BASE, AGAINST_PREVIOUS = "*", "†"


# --- small phrases ---------------------------------------------------------------------------------------------------


def number(points: float) -> str:
    """Points with one digit, never '-0.0'."""
    return f"{round(points, 1) + 0.0:.1f}"


def signed(points: float) -> str:
    """Points with their sign and one digit."""
    return f"{round(points, 1) + 0.0:+.1f}"


def p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def interval(comparison: Comparison, results: Results, model: str, level: Interval) -> str:
    """'[24.0, 38.0]'; the baseline against itself has none."""
    if is_baseline(comparison, results, model):
        return "by construction"
    return f"[{number(results.points(level.low))}, {number(results.points(level.high))}]"


def is_baseline(comparison: Comparison, results: Results, model: str) -> bool:
    """Whether the model's level is that of the baseline against itself."""
    return results.benchmark.middle is not None and model == comparison.settings.baseline.model


def marks(comparison: Comparison, model: str, figures: Figures) -> str:
    """`*` where the model differs from m0, `†` where it differs from the one before (where that is not m0)."""
    return "".join(
        AGAINST_BASE if other == paths.BASE else AGAINST_PREVIOUS
        for other in comparison.references(model)
        if comparison.is_significant(figures.changes[other])
    )


def place_name(results: Results, place: str) -> str:
    """'es Spanish' of a language, 'm_mmlu_es' of a task, 'trained on (en, es)' of a group."""
    if place not in results.groups:
        return f"{place} {english_name(place)}" if results.benchmark.by == "language" else place
    return group_name(results, place)


def group_name(results: Results, group: str) -> str:
    members = results.groups[group]
    if group == AVERAGE:
        return f"average of {len(members)}" if len(members) > 1 else "average"
    if group in (TRAINED, TRANSFER):
        return f"{'trained on' if group == TRAINED else 'transfer'} ({', '.join(members)})"
    return f"{group}, average of {len(members)}"


def shown_groups(results: Results) -> tuple[str, ...]:
    """The groups that say more than the places: no average of one, no group that is the whole."""
    if len(results.places) == 1:
        return ()
    return tuple(
        name for name, members in results.groups.items() if name == AVERAGE or set(members) != set(results.places)
    )


def table_rows(results: Results) -> tuple[str, ...]:
    """The rows of a table: places, then groups."""
    return (*results.places, *shown_groups(results))


def comparisons(comparison: Comparison) -> list[tuple[str, str]]:
    """(model, the one that it is compared with), the last model and m0 first."""
    pairs = [(model, other) for model in reversed(comparison.models) for other in comparison.references(model)]
    return sorted(pairs, key=lambda pair: pair[1] != paths.BASE)


def items(results: Results, place: str) -> str:
    """n of a row: one number, or a span where models differ in what is judged."""
    counts = sorted({by_place[place].level.n for by_place in results.figures.values()})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"


# --- sentences -------------------------------------------------------------------------------------------------------


def sentence(comparison: Comparison, results: Results, model: str, other: str, place: str) -> str:
    """What changed in one place or group, also where nothing did."""
    change = results.figures[model][place].changes[other]
    name = place if place not in results.groups else group_name(results, place)
    return f"{name}: {finding(comparison, results, change)}"


def finding(comparison: Comparison, results: Results, change: Change) -> str:
    test = change.test
    verdict = "" if comparison.is_significant(change) else "no significant difference: "
    holm = "" if change.p_holm is None else " (Holm)"
    gained = f" ({test.gained} gained, {test.lost} lost)"
    return f"{verdict}{difference(results, change)}, {p_value(change.p)}{holm}, n = {test.n}{gained}"


def difference(results: Results, change: Change) -> str:
    """'+31.2 points [24.0, 38.0]'."""
    low, high = (number(results.points(end)) for end in (change.test.low, change.test.high))
    return f"{signed(results.points(change.test.difference))} points [{low}, {high}]"


def title(comparison: Comparison) -> str:
    first, last = comparison.models[0], comparison.models[-1]
    return f"What {last} does better than {first}, and what it does not" if first != last else f"{first}, so far alone"


def headlines(comparison: Comparison) -> list[str]:
    """A few sentences a benchmark: the last model against m0, on average and by place."""
    if len(comparison.models) == 1:
        return [f"There is one model, {comparison.models[0]}: nothing to compare yet."]
    return [_headline(comparison, results) for results in comparison.results]


def _headline(comparison: Comparison, results: Results) -> str:
    first, last = comparison.models[0], comparison.models[-1]
    figures = results.figures[last]
    change = figures[AVERAGE].changes[first]
    before, after = (number(results.points(results.figures[m][AVERAGE].level.estimate)) for m in (first, last))
    verb = "did not change significantly"
    if comparison.is_significant(change):
        verb = "rose" if change.test.difference > 0 else "fell"
    count = len(results.places)
    over = f"on average over {count} {results.benchmark.by}s" if count > 1 else f"in {results.places[0]}"
    before += "% (by construction)" if is_baseline(comparison, results, first) else "%"
    measured = f"{results.benchmark.title} {measure(comparison, results)} {over} {verb} from {before} to {after}%"
    by_place = _by_place(comparison, {place: figures[place].changes[first] for place in results.places})
    return f"{measured} ({difference(results, change)}, {p_value(change.p)}, n = {change.test.n}). {by_place}"


def measure(comparison: Comparison, results: Results) -> str:
    """'accuracy', or 'win rate against m0'."""
    if results.benchmark.middle is None:
        return results.benchmark.measure
    return f"{results.benchmark.measure} against {comparison.settings.baseline.model}"


def _by_place(comparison: Comparison, changes: dict[str, Change]) -> str:
    def named(verdict: str, places: list[str]) -> list[str]:
        return [f"{verdict} in {_listed(places)}"] if places else []

    significant = {place: change for place, change in changes.items() if comparison.is_significant(change)}
    parts = [
        *named("higher", [place for place, change in significant.items() if change.test.difference > 0]),
        *named("lower", [place for place, change in significant.items() if change.test.difference < 0]),
        *named("no significant difference", [place for place in changes if place not in significant]),
    ]
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def how_to_read(comparison: Comparison) -> list[str]:
    """What the numbers are and which tests were used."""
    level = number(100 * comparison.settings.compare.confidence).removesuffix(".0")
    alpha, baseline = f"{comparison.alpha:g}", comparison.settings.baseline.model
    resamples = comparison.settings.compare.resamples
    itself = f" {baseline} against itself is 50 by construction, not by measurement."
    itself = itself if baseline in comparison.models else ""
    tasks = []
    if any(results.benchmark.by == "task" for results in comparison.results):
        tasks = [
            "A task of lm-evaluation-harness is scored by the first of its own metrics; scores that are not 0 or 1 are "
            "compared as win rates are. Its averages give each task the same weight, and an item that is asked in "
            "several languages counts once in n."
        ]
    return [
        f"Brackets are {level}% intervals: Wilson's for an accuracy, a BCa bootstrap over items for a win rate and for "
        f"an average, of {resamples:,} resamples. Overlapping intervals of two models are no test: both answered the "
        "same items, and the differences below use that.",
        "A difference of accuracies is tested by McNemar's exact test on the items that only one of two models got "
        "right, with Tango's score interval; a difference of win rates by a sign-flip permutation test on the "
        "difference of each item's preference, with a BCa bootstrap interval. Gained and lost count the items that "
        "became better and worse.",
        "Averages over languages take the item as the unit: the languages' items are translations of each other, so "
        "an item's results are averaged over languages first, and n is the number of items.",
        *tasks,
        "p values of languages and tasks are adjusted by Holm for their number in the same list; those of averages "
        f"are not adjusted. {AGAINST_BASE} marks p < {alpha} against m0, {AGAINST_PREVIOUS} p < {alpha} against "
        "the model before. 'No significant difference' is not evidence of equality: the interval shows which "
        "differences remain possible.",
        f"The win rate is 100 x (mean preference - 1) against {baseline}'s answers: 50 is as good as the baseline."
        f"{itself}",
    ]


def facts(comparison: Comparison) -> list[tuple[str, str]]:
    """What was compared, for the foot of the report."""
    settings = comparison.settings
    return [
        ("profile", settings.profile),
        ("base model", settings.base.model),
        ("models", ", ".join(comparison.models)),
        ("dominant language", settings.dominant),
        ("trained on", ", ".join(settings.all_languages)),
        *((results.benchmark.title, results.what) for results in comparison.results),
        ("baseline", settings.baseline.model),
        ("confidence", f"{settings.compare.confidence:g}"),
        ("resamples", f"{settings.compare.resamples:,}"),
        ("seed", str(settings.seed)),
    ]


def count_headings(results: Results) -> list[str]:
    """The counts that are shown beside the figures, in order."""
    counts = results.figures[next(iter(results.figures))][AVERAGE].counts
    return [name.replace("_", " ") for name in counts]


# --- the terminal ----------------------------------------------------------------------------------------------------


def table(comparison: Comparison) -> str:
    """Places by models of all benchmarks, with marks, for the terminal."""
    blocks: dict[str, list[Results]] = {}
    for results in comparison.results:
        blocks.setdefault(results.benchmark.by, []).append(results)
    lines = [line for side_by_side in blocks.values() for line in [*_block(comparison, side_by_side), ""]]
    level = f"p < {comparison.alpha:g}; of {' and '.join(f'{by}s' for by in blocks)}: adjusted by Holm"
    note = f"{AGAINST_BASE} differs from m0, {AGAINST_PREVIOUS} from the model before ({level})"
    return "\n".join([*lines[:-1], note])


def _block(comparison: Comparison, side_by_side: Sequence[Results]) -> list[str]:
    """Benchmarks side by side that have the same kind of rows."""
    rows = list(dict.fromkeys(place for results in side_by_side for place in table_rows(results)))
    width = max(len(row) for row in rows) + 2
    head, under = " " * width, " " * width
    lines = [row.ljust(width) for row in rows]
    for results in side_by_side:
        title = f"{results.benchmark.title} {measure(comparison, results)}, %"
        cells = {model: [_cell(comparison, results, model, row) for row in rows] for model in comparison.models}
        columns = sum(9 for _ in cells)
        block = max(columns, len(title)) + 3
        head += title.ljust(block)
        under += "".join(f"{model:>6}   " for model in cells).ljust(block)
        lines = [line + "".join(column[i] for column in cells.values()).ljust(block) for i, line in enumerate(lines)]
    return [line.rstrip() for line in [head, under, *lines]]


def _cell(comparison: Comparison, results: Results, model: str, place: str) -> str:
    if place not in results.figures[model]:
        return " " * 9
    figures = results.figures[model][place]
    return f"{number(results.points(figures.level.estimate)):>6}{marks(comparison, model, figures):<3}"


# --- report.md -------------------------------------------------------------------------------------------------------


def markdown(comparison: Comparison) -> str:
    """The whole report as Markdown; plots are the SVG files beside it."""
    lines = [f"# {title(comparison)}", ""]
    for text in headlines(comparison):
        lines += [_plain(text), ""]
    for results in comparison.results:
        lines += _benchmark_section(comparison, results)
    lines += ["## How to read this", ""]
    for text in how_to_read(comparison):
        lines += [_plain(text), ""]
    lines += ["## What was compared", "", *(f"- {name}: {_plain(value)}" for name, value in facts(comparison)), ""]
    return "\n".join(lines)


def _benchmark_section(comparison: Comparison, results: Results) -> list[str]:
    models = comparison.models
    title = _plain(f"{results.benchmark.title} {measure(comparison, results)}")
    lines = [f"## {title}", "", f"![{title} by {results.benchmark.by}]({results.benchmark.name}.svg)", ""]
    lines += [f"In %, {_plain(results.what)}.", ""]
    for note in results.notes:
        lines += [_plain(note), ""]
    rows = []
    for place in table_rows(results):
        figures = {model: results.figures[model][place] for model in models}
        cells = [_level(comparison, results, model, figures[model]) for model in models]
        rows.append([place_name(results, place), *cells, items(results, place)])
    lines += _table([results.benchmark.by, *models, "n"], rows)
    for model, other in comparisons(comparison):
        lines += [f"### {model} against {other}", ""]
        lines += [f"- {sentence(comparison, results, model, other, place)}" for place in table_rows(results)]
        lines.append("")
    if headings := count_headings(results):
        lines += [f"### {' / '.join(headings)}, answers", "", *_counts(comparison, results)]
    if results.samples:
        lines += ["### Samples", ""]
    for sample in results.samples:
        lines += _sample(results, sample, comparison)
    return lines


def _level(comparison: Comparison, results: Results, model: str, figures: Figures) -> str:
    value = number(results.points(figures.level.estimate))
    return f"{value}{_plain(marks(comparison, model, figures))} {interval(comparison, results, model, figures.level)}"


def _counts(comparison: Comparison, results: Results) -> list[str]:
    rows = []
    for place in results.places:
        by_model = [results.figures[model][place] for model in comparison.models]
        cells = [" / ".join(str(count) for count in figures.counts.values()) for figures in by_model]
        baseline = [str(results.baseline_off_target[place])] if results.baseline_off_target else []
        rows.append([place_name(results, place), *cells, *baseline, str(by_model[0].items)])
    baseline = ["baseline's off target"] if results.baseline_off_target else []
    return _table([results.benchmark.by, *comparison.models, *baseline, "of"], rows)


def _sample(results: Results, sample: Sample, comparison: Comparison) -> list[str]:
    first, last = comparison.models[0], comparison.models[-1]
    what = f"{'gained' if sample.gained else 'lost'} from {first} to {last}"
    lines = [f"**{sample.place}, {what}** ({_plain(sample.id)})", "", *_fenced(sample.prompt)]
    if sample.expected is not None:
        lines += [f"{results.benchmark.expected}:", "", *_fenced(sample.expected)]
    for reply in sample.replies:
        notes = "".join(f", {note}" for note in reply.notes)
        lines += [f"{reply.model}, {reply.outcome}{notes}:", "", *_fenced(reply.text)]
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("--:" for _ in head[1:])]
    return [*(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows]), ""]


def _fenced(text: str) -> list[str]:
    """A block that no text can break out of: its fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *text.splitlines(), fence, ""]


def _plain(text: str) -> str:
    """Text that Markdown shows as it is; '[24.0' and 'p < 0.001' need no mark for that."""
    return re.sub(r"([\\`*_|]|<(?! )|\[(?![-\d])|&(?=[#\w]))", r"\\\1", text)
