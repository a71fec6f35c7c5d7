"""Levels and changes of all models on all benchmarks, with intervals and paired tests.

    mgsm = compare_models(settings).results[0]
    mgsm.figures["m2"]["es"].level               # Interval(estimate=0.84, low=0.789, high=0.88, n=250)
    mgsm.figures["m2"]["es"].changes["m0"].p     # 1.2e-16

Values are in the benchmark's own unit (a share, or a win rate from 0 to 100). `BenchmarkResult.points` converts both to
percentage points.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.compare.samples import ChangedItem, draw
from lidr.errors import InputError
from lidr.evaluation import statistics
from lidr.evaluation.registry import Benchmark, Groups, benchmarks
from lidr.evaluation.rows import Rows, read
from lidr.evaluation.statistics import PairedTest

Scores = dict[str, dict[str, float]]  # by place and id, without unjudged items


@dataclass(frozen=True)
class Figures:
    """One model's figures in a place or group: level, counts of defects, changes by reference model.

    `shares` are the counts over the answers in which each was measured. Both lack what was measured in none.
    """

    level: statistics.Interval
    items: int
    counts: dict[str, int]
    shares: dict[str, float]
    changes: dict[str, PairedTest]


@dataclass(frozen=True)
class BenchmarkResult:
    """All models' figures on one benchmark, by model and by place or group; a place is a language or a task."""

    benchmark: Benchmark
    what: str
    notes: tuple[str, ...]
    places: tuple[str, ...]
    groups: Groups
    figures: dict[str, dict[str, Figures]]
    baseline_off_target: dict[str, int]
    samples: tuple[ChangedItem, ...]

    def points(self, value: float) -> float:
        """A value of this benchmark in percentage points."""
        return value * self.benchmark.unit


@dataclass(frozen=True)
class Comparison:
    """All models of a pipeline on all benchmarks."""

    settings: config.Settings
    models: tuple[str, ...]
    results: tuple[BenchmarkResult, ...]

    @property
    def alpha(self) -> float:
        """The significance level."""
        return round(1 - self.settings.compare.confidence, 12)

    def is_significant(self, change: PairedTest) -> bool:
        return change.p < self.alpha


def compare_models(settings: config.Settings, only: Collection[str] = ()) -> Comparison:
    """Compare all models by their answers and verdicts; raises InputError if their items differ.

    `only` restricts the benchmarks, by name.
    """
    models = _models(settings)
    results = [_results(settings, models, *measured) for measured in _measured(settings, only).items()]
    return Comparison(settings, models, tuple(results))


def scores_table(settings: config.Settings) -> Iterator[dict[str, Any]]:
    """Yield every item of all benchmarks with each model's score."""
    for benchmark, places in _measured(settings).items():
        rows = read(benchmark, _models(settings), places)
        for key, first in next(iter(rows.values())).items():
            # `lang` may hold a task: MLflow's tables have the same columns for all benchmarks.
            place = benchmark.place(first)
            about = {"benchmark": benchmark.name, "lang": place, "id": first.id, "prompt": first.prompt}
            yield about | {model: benchmark.score(own[key]) for model, own in rows.items()}


def _models(settings: config.Settings) -> tuple[str, ...]:
    return tuple(sorted(settings.models, key=config.iteration_number))


def _measured(settings: config.Settings, only: Collection[str] = ()) -> dict[Benchmark, tuple[str, ...]]:
    """The benchmarks of this pipeline, with their places."""
    wanted = [benchmark for benchmark in benchmarks() if not only or benchmark.name in only]
    return {benchmark: places for benchmark in wanted if (places := benchmark.places(settings))}


def references(settings: config.Settings, model: str) -> tuple[str, ...]:
    """The models that this one is compared with; none for m0.

    They are m0, the previous model, and earlier models trained from the same previous model, each once.
    """
    if model == paths.BASE:
        return ()
    previous, number = settings.iteration(model).previous, config.iteration_number(model)
    arms = [
        name
        for name, iteration in settings.iterations.items()
        if iteration.previous == previous and config.iteration_number(name) < number
    ]
    return tuple(dict.fromkeys((paths.BASE, previous, *arms)))


# --- figures ---------------------------------------------------------------------------------------------------------


def _results(
    settings: config.Settings, models: tuple[str, ...], benchmark: Benchmark, places: tuple[str, ...]
) -> BenchmarkResult:
    rows = read(benchmark, models, places)
    groups = benchmark.groups(settings, places)
    scores = {model: _scores(benchmark, model, rows[model], places) for model in models}
    off_target = dict.fromkeys(places, 0) if benchmark.baseline_level is not None else {}
    for row in rows[models[0]].values() if off_target else ():
        off_target[row.lang] += row.baseline_off_target
    return BenchmarkResult(
        benchmark=benchmark,
        what=benchmark.what(settings),
        notes=tuple(benchmark.notes(settings)),
        places=places,
        groups=groups,
        figures={model: _figures(settings, benchmark, rows, scores, model, groups) for model in models},
        baseline_off_target=off_target,
        samples=draw(settings, benchmark, models, rows),
    )


def _scores(benchmark: Benchmark, model: str, rows: Rows, places: Sequence[str]) -> Scores:
    scores: Scores = {place: {} for place in places}
    for row in rows.values():
        score = benchmark.score(row)
        if score is not None:
            scores[benchmark.place(row)][row.id] = score
    for place, by_id in scores.items():
        if not by_id:
            raise InputError(f"not one row in {place!r} is judged", benchmark.path(model))
    return scores


def _figures(
    settings: config.Settings,
    benchmark: Benchmark,
    rows: Mapping[str, Rows],
    scores: Mapping[str, Scores],
    model: str,
    groups: Groups,
) -> dict[str, Figures]:
    own, confidence = scores[model], settings.compare.confidence
    levels = {place: benchmark.level(list(by_id.values()), confidence) for place, by_id in own.items()}
    for group, members in groups.items():
        if len(members) == 1:  # its own interval and test, as in its row
            levels[group] = levels[members[0]]
        else:
            values = {place: own[place] for place in members}
            levels[group] = statistics.macro_interval(values, confidence, benchmark.highest)
    changes: dict[str, dict[str, PairedTest]] = {place: {} for place in levels}
    for other in references(settings, model):
        found = paired_changes(benchmark, benchmark.path(model), scores[other], own, groups, confidence)
        for place, change in found.items():
            changes[place][other] = change
    figures = {}
    for place, level in levels.items():
        members = groups.get(place, (place,))
        asked = [row for row in rows[model].values() if benchmark.place(row) in members]
        counted = benchmark.counted(asked)
        counts = {name: sum(values) for name, values in counted.items()}
        shares = {name: sum(values) / len(values) for name, values in counted.items()}
        figures[place] = Figures(level, len(asked), counts, shares, changes[place])
    return figures


def paired_changes(
    benchmark: Benchmark, where: str | Path, first: Scores, second: Scores, groups: Groups, confidence: float
) -> dict[str, PairedTest]:
    """Paired tests of second minus first in every place, adjusted over the places, and in each group.

    A place uses the items that are judged for both; raises InputError, which names `where`, if there are none.
    """
    before = {place: _only(by_id, second[place]) for place, by_id in first.items()}
    after = {place: _only(second[place], by_id) for place, by_id in before.items()}
    tests = {}
    for place, by_id in before.items():
        if not by_id:
            raise InputError(f"no item is judged for both models in {place}", where)
        tests[place] = benchmark.change(list(by_id.values()), list(after[place].values()), confidence)
    adjusted = statistics.holm({place: test.p_value for place, test in tests.items()})
    changes = {place: replace(test, p_holm=adjusted[place]) for place, test in tests.items()}
    for group, members in groups.items():
        if len(members) == 1:
            changes[group] = tests[members[0]]
        else:
            one, other = ({place: scores[place] for place in members} for scores in (before, after))
            changes[group] = statistics.macro_comparison(one, other, confidence, benchmark.highest)
    return changes


def _only(scores: Mapping[str, float], items: Collection[str]) -> dict[str, float]:
    return {item: scores[item] for item in items if item in scores}
