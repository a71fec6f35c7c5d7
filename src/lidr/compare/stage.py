"""Stage `compare`: compares all models of the pipeline, with intervals and paired tests.

    $ lidr compare
                         MGSM accuracy, %              AlpacaEval win rate against m0, %
                             m0       m1       m2          m0       m1       m2
    en                     96.8     96.4     97.2        50.0     50.4     51.0
    es                     55.6     80.4*    84.0*†      50.0     68.2*    71.4*
    ...

    reports/compare/metrics.json:
    {"m0": {"mgsm": {"es": {"accuracy": 0.556, "low": 0.494, "high": 0.616, "n": 250, "off_target": 0.1, ...}}}, ...
     "m2": {"mgsm": {"es": {..., "against_m0": {"difference": 0.284, "low": ..., "p": ..., "p_holm": ..., ...}}}}}

The folder also holds a CSV and an SVG per benchmark, report.md, and index.html, which includes all of it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from itertools import product
from typing import Any

from lidr import config, paths
from lidr.compare import page, plots
from lidr.compare.comparison import BenchmarkResult, Comparison, Figures, compare_models
from lidr.evaluation.registry import Benchmark, benchmarks
from lidr.evaluation.statistics import PairedTest
from lidr.records.jsonl import atomic_folder, write_json, write_text
from lidr.records.rounding import rounded

STAGE = "compare"

COLUMNS = ("model", "iteration", "{by}", "value", "low", "high")  # by: language or task


def run(settings: config.Settings) -> Comparison:
    """Compare the models, write reports/compare atomically, and return the comparison."""
    comparison = compare_models(settings)
    measured = {results.benchmark.name: results for results in comparison.results}
    drawn = {name: plots.draw(comparison, results) for name, results in measured.items()}
    with atomic_folder(paths.compare()) as folder:
        write_json(folder / paths.METRICS, metrics(comparison))
        # dvc.yaml declares both files of each benchmark, measured or not.
        for benchmark in benchmarks():
            name = benchmark.name
            write_text(folder / f"{name}.csv", table_of_values(comparison, benchmark, measured.get(name)))
            write_text(folder / f"{name}.svg", drawn.get(name) or plots.not_measured(benchmark))
        write_text(folder / paths.REPORT, page.markdown(comparison))
        write_text(folder / paths.PAGE, page.html(comparison, drawn))
    return comparison


def headline(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """One model's levels by place and group, from its part of metrics.json, under the names of MLflow's charts.

    A name is 'mgsm accuracy/es', for instance. Off-target rates are those of the first benchmark that counts them.
    """
    levels = {
        f"{benchmark.name} {benchmark.measure}/{place}": values[benchmark.level_name]
        for benchmark in benchmarks()
        for place, values in figures.get(benchmark.name, {}).items()
    }
    counted = next((own for own in figures.values() if any("off_target" in values for values in own.values())), {})
    shares = {place: values["off_target"] for place, values in counted.items() if "off_target" in values}
    return levels | {f"off target/{place}": share for place, share in shares.items()}


def intervals(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, float]:
    """One model's intervals and its changes against m0, of its part of metrics.json, for MLflow's run of `compare`.

    'mgsm accuracy low/es' is in the unit of the level; 'mgsm change/es', '.. low/es' and '.. high/es' are in points;
    'mgsm change p/es' is the p value that decides, Holm's where there is one.
    """
    found: dict[str, float] = {}
    for benchmark in benchmarks():
        level, change = f"{benchmark.name} {benchmark.measure}", f"{benchmark.name} change"
        for place, values in figures.get(benchmark.name, {}).items():
            found |= {f"{level} {end}/{place}": values[end] for end in ("low", "high")}
            if test := values.get(f"against_{paths.BASE}"):
                ends = {"": "difference", " low": "low", " high": "high"}
                found |= {f"{change}{end}/{place}": round(benchmark.unit * test[of], 4) for end, of in ends.items()}
                found[f"{change} p/{place}"] = test.get("p_holm", test["p"])
    return found


def metrics(comparison: Comparison) -> dict[str, Any]:
    """All figures by model, benchmark and place, for DVC."""
    found: dict[str, Any] = {}
    for model in comparison.models:
        found[model] = {}
        for results in comparison.results:
            own = results.figures[model]
            level_name = results.benchmark.level_name
            found[model][results.benchmark.name] = {place: _figures(level_name, own[place]) for place in own}
    return rounded(found)


def table_of_values(comparison: Comparison, benchmark: Benchmark, results: BenchmarkResult | None) -> str:
    """CSV for `dvc plots` with a row per model and place; only the header if the benchmark was not measured."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.format(by=benchmark.by) for column in COLUMNS)
    if results:
        for model, place in product(comparison.models, results.places):
            level = results.figures[model][place].level
            values = (round(value, 6) for value in (level.estimate, level.low, level.high))
            writer.writerow([model, config.iteration_number(model), place, *values])
    return text.getvalue()


def _figures(level_name: str, figures: Figures) -> dict[str, Any]:
    level = figures.level
    values = {level_name: level.estimate, "low": level.low, "high": level.high, "n": level.n, **figures.shares}
    return values | {f"against_{other}": _change(change) for other, change in figures.changes.items()}


def _change(change: PairedTest) -> dict[str, float]:
    values = {"difference": change.difference, "low": change.low, "high": change.high, "p": change.p_value}
    holm = {} if change.p_holm is None else {"p_holm": change.p_holm}
    return values | holm | {"n": change.n, "gained": change.gained, "lost": change.lost}
