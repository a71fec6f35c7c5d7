"""The comparison in words: formatted numbers, sentences, and the table for the terminal.

>>> from lidr.evaluation.registry import benchmark_of
>>> tested(benchmark_of("mgsm"), PairedTest(0.312, 0.24, 0.38, 1.2e-16, n=250, gained=80, lost=2, p_holm=7.2e-16))
'+31.2 points [24.0, 38.0], p < 0.001 (Holm), n = 250'
>>> number(-0.04), signed(0.04)
('0.0', '+0.0')
"""

from __future__ import annotations

from collections.abc import Sequence

from lidr import paths
from lidr.compare.comparison import BenchmarkResult, Comparison, Figures, references
from lidr.errors import LidrError
from lidr.evaluation.registry import AVERAGE, TRAINED, TRANSFER, Benchmark
from lidr.evaluation.statistics import Interval, PairedTest
from lidr.pages import render
from lidr.records.languages import english_name

AGAINST_BASE, AGAINST_PREVIOUS, AGAINST_ARM = "*", "†", "‡"


# --- small phrases ---------------------------------------------------------------------------------------------------


def number(points: float) -> str:
    """Points with one decimal, never '-0.0'."""
    return f"{round(points, 1) + 0.0:.1f}"


def signed(points: float) -> str:
    """Points with a sign and one decimal."""
    return f"{round(points, 1) + 0.0:+.1f}"


def p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def interval(comparison: Comparison, results: BenchmarkResult, model: str, level: Interval) -> str:
    """'[24.0, 38.0]', or 'by construction' for the baseline against itself."""
    if is_baseline(comparison, results, model):
        return "by construction"
    return f"[{number(results.points(level.low))}, {number(results.points(level.high))}]"


def is_baseline(comparison: Comparison, results: BenchmarkResult, model: str) -> bool:
    """Whether the model is the baseline that its own level is measured against."""
    return results.benchmark.baseline_level is not None and model == comparison.settings.baseline.model


def marks(comparison: Comparison, model: str, figures: Figures) -> str:
    """Marks of significance: `*` against m0, `†` against the previous model (if not m0), `‡` against an earlier arm."""
    found = [other for other, change in figures.changes.items() if comparison.is_significant(change)]
    if not found:
        return ""
    known = {comparison.settings.iteration(model).previous: AGAINST_PREVIOUS, paths.BASE: AGAINST_BASE}
    return "".join(dict.fromkeys(known.get(other, AGAINST_ARM) for other in found))


def what_marks_mean(comparison: Comparison) -> str:
    """The legend of the marks."""
    arms = f", {AGAINST_ARM} from an earlier model that goes on from the same one" if _has_arms(comparison) else ""
    return f"{AGAINST_BASE} differs from m0, {AGAINST_PREVIOUS} from the model before{arms}"


def _has_arms(comparison: Comparison) -> bool:
    """Whether two models were trained from the same one."""
    started = [comparison.settings.iteration(model).previous for model in comparison.models if model != paths.BASE]
    return len(set(started)) < len(started)


def place_name(results: BenchmarkResult, place: str) -> str:
    """'es Spanish' for a language, 'm_mmlu_es' for a task, 'trained on (en, es)' for a group."""
    if place in results.groups:
        return short_name(results, place)
    return f"{place} {english_name(place)}" if results.benchmark.by == "language" else place


def short_name(results: BenchmarkResult, group: str) -> str:
    """A group's name with its members, or their number; a place as it is."""
    if group not in results.groups:
        return group
    members = results.groups[group]
    if group == AVERAGE:
        return f"average of {len(members)}" if len(members) > 1 else "average"
    if group in (TRAINED, TRANSFER):
        return f"{'trained on' if group == TRAINED else 'transfer'} ({', '.join(members)})"
    return f"{group}, average of {len(members)}"


def shown_groups(results: BenchmarkResult) -> tuple[str, ...]:
    """The groups that add to the places: no average of one place, no group of all places but the average."""
    if len(results.places) == 1:
        return ()
    return tuple(
        name for name, members in results.groups.items() if name == AVERAGE or set(members) != set(results.places)
    )


def table_rows(results: BenchmarkResult) -> tuple[str, ...]:
    """The rows of a table: places, then shown groups."""
    return (*results.places, *shown_groups(results))


def comparisons(comparison: Comparison) -> list[tuple[str, str]]:
    """All (model, reference) pairs: those against m0 first, later models first."""
    pairs = [
        (model, other) for model in reversed(comparison.models) for other in references(comparison.settings, model)
    ]
    return sorted(pairs, key=lambda pair: pair[1] != paths.BASE)


def items(results: BenchmarkResult, place: str) -> str:
    """n of a row, or its range if the models' judged items differ."""
    counts = sorted({by_place[place].level.n for by_place in results.figures.values()})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"


# --- sentences -------------------------------------------------------------------------------------------------------


def finding(comparison: Comparison, results: BenchmarkResult, change: PairedTest) -> str:
    """The change in one place or group, significant or not."""
    verdict = "" if comparison.is_significant(change) else "no significant difference: "
    return f"{verdict}{tested(results.benchmark, change)} ({change.gained} gained, {change.lost} lost)"


def tested(benchmark: Benchmark, change: PairedTest) -> str:
    """'+31.2 points [24.0, 38.0], p < 0.001 (Holm), n = 250'."""
    holm = "" if change.p_holm is None else " (Holm)"
    return f"{difference(benchmark, change)}, {p_value(change.p)}{holm}, n = {change.n}"


def difference(benchmark: Benchmark, change: PairedTest) -> str:
    """'+31.2 points [24.0, 38.0]'."""
    change_in_points, low, high = (benchmark.unit * value for value in (change.difference, change.low, change.high))
    return f"{signed(change_in_points)} points [{number(low)}, {number(high)}]"


def evidence(comparison: Comparison, model: str) -> tuple[list[str], str | None]:
    """Each benchmark's average change of the model against m0, and the objection to promoting it, if any.

    There is none if an average is significantly above m0's and none is significantly below. Raises LidrError for m0.
    """
    if model == paths.BASE:
        raise LidrError(f"{model} is the base: nothing was trained")
    findings, better, worse = [], False, []
    for results in comparison.results:
        change = results.figures[model][AVERAGE].changes[paths.BASE]
        named = f"{results.benchmark.title} {results.benchmark.measure}"
        findings.append(f"{named}: {finding(comparison, results, change)}")
        if comparison.is_significant(change) and change.difference < 0:
            worse.append(results.benchmark.title)
        better = better or (comparison.is_significant(change) and change.difference > 0)
    if worse:
        return findings, f"{model} is worse than {paths.BASE} in {' and '.join(worse)}"
    return findings, None if better else f"the comparison shows no gain of {model} over {paths.BASE}"


def title(comparison: Comparison) -> str:
    first, last = comparison.models[0], comparison.models[-1]
    return f"What {last} does better than {first}, and what it does not" if first != last else f"{first}, so far alone"


def headlines(comparison: Comparison) -> list[str]:
    """A summary of each benchmark: the last model against m0, on average and by place."""
    if len(comparison.models) == 1:
        return [f"There is one model, {comparison.models[0]}: nothing to compare yet."]
    return [_headline(comparison, results) for results in comparison.results]


def _headline(comparison: Comparison, results: BenchmarkResult) -> str:
    first, last = comparison.models[0], comparison.models[-1]
    figures = results.figures[last]
    change = figures[AVERAGE].changes[first]
    before, after = (number(results.points(results.figures[m][AVERAGE].level.estimate)) for m in (first, last))
    verb = "did not change significantly"
    if comparison.is_significant(change):
        verb = "rose" if change.difference > 0 else "fell"
    count = len(results.places)
    over = f"on average over {count} {results.benchmark.by}s" if count > 1 else f"in {results.places[0]}"
    before += "% (by construction)" if is_baseline(comparison, results, first) else "%"
    measured = f"{results.benchmark.title} {measure(comparison, results)} {over} {verb} from {before} to {after}%"
    by_place = _by_place(comparison, {place: figures[place].changes[first] for place in results.places})
    return f"{measured} ({tested(results.benchmark, change)}). {by_place}"


def measure(comparison: Comparison, results: BenchmarkResult) -> str:
    """'accuracy', or 'win rate against m0'."""
    if results.benchmark.baseline_level is None:
        return results.benchmark.measure
    return f"{results.benchmark.measure} against {comparison.settings.baseline.model}"


def _by_place(comparison: Comparison, changes: dict[str, PairedTest]) -> str:
    """'Higher in es; no significant difference in en and it.'."""
    places: dict[str, list[str]] = {"higher": [], "lower": [], "no significant difference": []}
    for place, change in changes.items():
        direction = "higher" if change.difference > 0 else "lower"
        places[direction if comparison.is_significant(change) else "no significant difference"].append(place)
    text = "; ".join(f"{verdict} in {_listed(members)}" for verdict, members in places.items() if members)
    return text[0].upper() + text[1:] + "."


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def how_to_read(comparison: Comparison) -> list[str]:
    """The paragraphs on numbers and tests (templates/how_to_read.txt)."""
    text = render(
        "how_to_read.txt",
        level=number(100 * comparison.settings.compare.confidence).removesuffix(".0"),
        alpha=f"{comparison.alpha:g}",
        baseline=comparison.settings.baseline.model,
        is_shown=comparison.settings.baseline.model in comparison.models,
        has_tasks=any(results.benchmark.by == "task" for results in comparison.results),
        has_arms=_has_arms(comparison),
    )
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def facts(comparison: Comparison) -> list[tuple[str, str]]:
    """What was compared: (name, value) for the end of the report."""
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
        ("seed", str(settings.seed)),
    ]


def counts(results: BenchmarkResult, figures: Figures) -> str:
    """The counts of defects, in the order of the benchmark's; `-` for a count that was not measured."""
    return " / ".join(str(figures.counts.get(name, "-")) for name in results.benchmark.counts)


# --- the table for the terminal -------------------------------------------------------------------------------------


def table(comparison: Comparison) -> str:
    """The table of places by models for the terminal, with marks."""
    blocks: dict[str, list[BenchmarkResult]] = {}
    for results in comparison.results:
        blocks.setdefault(results.benchmark.by, []).append(results)
    lines = [line for side_by_side in blocks.values() for line in [*_block(comparison, side_by_side), ""]]
    level = f"p < {comparison.alpha:g}; of {' and '.join(f'{by}s' for by in blocks)}: adjusted by Holm"
    return "\n".join([*lines[:-1], f"{what_marks_mean(comparison)} ({level})"])


def _block(comparison: Comparison, side_by_side: Sequence[BenchmarkResult]) -> list[str]:
    """One table of benchmarks with the same kind of place, side by side."""
    rows = list(dict.fromkeys(place for results in side_by_side for place in table_rows(results)))
    width = max(len(row) for row in rows) + 2
    lines = [line.ljust(width) for line in ("", "", *rows)]
    for results in side_by_side:
        title = f"{results.benchmark.title} {measure(comparison, results)}, %"
        under = "".join(f"{model:>6}   " for model in comparison.models)
        cells = ["".join(_cell(comparison, results, model, row) for model in comparison.models) for row in rows]
        block = max(len(under), len(title)) + 3
        lines = [line + cell.ljust(block) for line, cell in zip(lines, [title, under, *cells], strict=True)]
    return [line.rstrip() for line in lines]


def _cell(comparison: Comparison, results: BenchmarkResult, model: str, place: str) -> str:
    if place not in results.figures[model]:
        return " " * 9
    figures = results.figures[model][place]
    return f"{number(results.points(figures.level.estimate)):>6}{marks(comparison, model, figures):<3}"
