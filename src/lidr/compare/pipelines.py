"""Compares two pipelines from their MLflow runs: `lidr compare --runs A B`.

    A  lab · beta 0.02 · 400 prompts  3f1c9a04b7d2...
    B  lab · beta 0.1 · 400 prompts  77aa01bb04c1...
       train.dpo.beta  0.02 | 0.1

    MGSM accuracy, %
                  A m0     A m1     A m2     B m0     B m1     B m2   B - A at m2
    en            87.6     81.2     81.6     87.6     80.4     80.8   -0.8 points [-3.0, 1.2], p = 1.000 (Holm), n = 250

Items are joined by language and id. Win rates compare only against the same baseline: the table warns if the pipelines'
baselines may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lidr import paths
from lidr.compare.comparison import Scores, paired_changes
from lidr.compare.report import number, tested
from lidr.config import iteration_number
from lidr.errors import InputError
from lidr.evaluation.registry import AVERAGE, Benchmark, benchmarks
from lidr.evaluation.statistics import PairedTest
from lidr.tracking.lookup import Pipeline

# The columns of an item, beside each model's score.
ITEM = ("benchmark", "lang", "id", "prompt")


@dataclass(frozen=True)
class PipelineDifference:
    """One benchmark of two pipelines: each one's levels by model and place, and B minus A at `model`."""

    benchmark: Benchmark
    model: str
    languages: tuple[str, ...]
    levels: tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]
    changes: dict[str, PairedTest]


def contrast(benchmark: Benchmark, first: Pipeline, second: Pipeline) -> PipelineDifference:
    """Compare two pipelines on a benchmark, at the last model that both have; raises InputError if items differ."""
    own, others = _rows(benchmark, first), _rows(benchmark, second)
    _check_same_items(benchmark, own, others)
    one, other = _by_model(own), _by_model(others)
    shared = [model for model in one if model in other]
    if not shared:
        raise InputError(f"the pipelines share no model: {', '.join(one)} and {', '.join(other)}")
    model = max(shared, key=iteration_number)
    languages = tuple(one[model])
    confidence, where = float(first.params["compare.confidence"]), f"{benchmark.title} of {second.name}"
    changes = paired_changes(benchmark, where, one[model], other[model], {AVERAGE: languages}, confidence)
    return PipelineDifference(benchmark, model, languages, (_levels(one), _levels(other)), changes)


def differences(first: Mapping[str, str], second: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Settings that differ: (name, the first pipeline's value, the second's), with `-` for a missing value."""
    names = dict.fromkeys((*first, *second))
    return [(n, first.get(n, "-"), second.get(n, "-")) for n in names if first.get(n) != second.get(n)]


def text(first: Pipeline, second: Pipeline) -> str:
    """The comparison for the terminal."""
    lines = [f"A  {first.name}  {first.run_id}", f"B  {second.name}  {second.run_id}"]
    lines += [f"   {name}  {one} | {other}" for name, one, other in differences(first.params, second.params)]
    measured = [{row["benchmark"] for row in pipeline.rows} for pipeline in (first, second)]
    for benchmark in benchmarks():
        if all(benchmark.name in names for names in measured):
            lines += ["", f"{benchmark.title} {benchmark.measure}, %", *_table(contrast(benchmark, first, second))]
        elif any(benchmark.name in names for names in measured):
            lines += ["", f"{benchmark.title}: only one of both has it"]
    if not _have_same_baseline(first, second):
        lines += ["", "Their base or baseline differs: each win rate is against the pipeline's own baseline."]
    return "\n".join(lines)


def scores(benchmark: Benchmark, pipeline: Pipeline) -> dict[str, Scores]:
    """Scores of judged items by model, language and id; raises InputError if the pipeline lacks the benchmark."""
    rows = _rows(benchmark, pipeline)
    if not rows:
        raise InputError(f"{pipeline.name} has no {benchmark.title}")
    return _by_model(rows)


def _rows(benchmark: Benchmark, pipeline: Pipeline) -> list[dict[str, Any]]:
    return [row for row in pipeline.rows if row["benchmark"] == benchmark.name]


def _check_same_items(
    benchmark: Benchmark, first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> None:
    one, other = ({(row["lang"], row["id"]): row["prompt"] for row in rows} for rows in (first, second))
    odd = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    if odd:
        lang, item = odd[0]
        raise InputError(
            f"{benchmark.title}: {len(odd)} items are not the same in both pipelines, the first is '{item}:{lang}'; "
            "pipelines that were evaluated on the same items are expected"
        )


def _by_model(rows: Sequence[Mapping[str, Any]]) -> dict[str, Scores]:
    models = [name for name in rows[0] if name not in ITEM]
    judged: dict[str, Scores] = {model: {row["lang"]: {} for row in rows} for model in models}
    for row in rows:
        for model in models:
            if row[model] is not None:
                judged[model][row["lang"]][row["id"]] = row[model]
    return judged


def _levels(scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """Each model's mean in each place, and their average."""
    levels = {}
    for model, by_language in scores.items():
        means = {lang: fmean(values.values()) for lang, values in by_language.items()}
        levels[model] = means | {AVERAGE: fmean(means.values())}
    return levels


def _have_same_baseline(first: Pipeline, second: Pipeline) -> bool:
    """Whether both pipelines' win rates are against the same answers, by their hash."""
    names = ("lidr.base", f"dvc.in.{paths.baseline().as_posix()}")
    return all(first.tags.get(name) == second.tags.get(name) for name in names)


def _table(contrast: PipelineDifference) -> list[str]:
    unit = contrast.benchmark.unit
    columns = [(pipeline, model) for pipeline in (0, 1) for model in contrast.levels[pipeline]]
    width = max(9, *(len(place) + 2 for place in contrast.languages))
    lines = [
        _line(
            "".ljust(width), [f"{'AB'[pipeline]} {model}" for pipeline, model in columns], f"B - A at {contrast.model}"
        )
    ]
    for place in (*contrast.languages, AVERAGE):
        cells = [number(unit * contrast.levels[pipeline][model][place]) for pipeline, model in columns]
        lines.append(_line(place.ljust(width), cells, tested(contrast.benchmark, contrast.changes[place])))
    return lines


def _line(place: str, cells: Sequence[str], change: str) -> str:
    return place + "".join(f"{cell:>9}" for cell in cells) + f"   {change}"
