"""What each stage logs to MLflow, from the files that it has written.

Files are enough: a stage, `lidr track` and another machine's checkout log the same.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from lidr import config, paths
from lidr.evaluation.registry import Benchmark, Metrics, benchmark_of
from lidr.records import Drop, Pair, Prompt, PromptKind, Response, Score, Translation
from lidr.records.jsonl import read_json, read_rows
from lidr.tracking import StageRun

# What an evaluation asks; the rest of a row is what the model made of it.
_ITEM = ("id", "lang", "task", "prompt", "gold", "baseline")


def log_to(stage: str) -> Callable[..., None]:
    """The function of a stage that logs to a run; it gets the settings, the model (none for `compare`) and the run."""
    return _LOG_TO.get(stage) or partial(_evaluation, benchmark_of(stage))


def by_language(metrics: Metrics) -> dict[str, float]:
    return {f"{name}/{lang}": value for lang, figures in metrics.items() for name, value in figures.items()}


def _base(settings: config.Settings, model: str, run: StageRun) -> None:
    run.log_model(paths.model(model), "base", upload=False)


def _prompts(settings: config.Settings, data: str, run: StageRun) -> None:
    prompts = list(read_rows(paths.prompt_file(data, settings.dominant), Prompt))
    run.log_metrics(
        {
            "prompts": len(prompts),
            "drops": _lines(paths.prompts(data) / paths.DROPS),
            "duplicates": _lines(paths.prompts(data) / paths.DUPLICATES),
            "translation_requests": sum(prompt.kind is PromptKind.TRANSLATION for prompt in prompts),
        }
    )


def _generate(settings: config.Settings, data: str, run: StageRun) -> None:
    files = [paths.prompt_file(data, lang) for lang in settings.all_languages]
    run.use_dataset(paths.prompts(data), f"prompts {data}", "generation", _rows_by_language(files, Prompt))
    files = [paths.response_file(data, lang) for lang in settings.all_languages]
    ended = Counter((row.finish_reason, row.lang) for file in files for row in read_rows(file, Response))
    run.log_metrics({f"{reason}/{lang}": count for (reason, lang), count in ended.items()})


def _score(settings: config.Settings, data: str, run: StageRun) -> None:
    files = [paths.score_file(data, lang) for lang in settings.all_languages]
    rows = [row for file in files for row in read_rows(file, Score, may_be_empty=True)]
    run.log_metrics({"scores": len(rows), "unscored": sum(row.reward is None for row in rows)})


def _translate(settings: config.Settings, data: str, run: StageRun) -> None:
    total, unparsed = 0, Counter[str]()
    for path in sorted(paths.translations(data).glob("*.jsonl")):
        rows = list(read_rows(path, Translation, may_be_empty=True))
        total += len(rows)
        unparsed[f"unparsed/{path.stem}"] = sum(row.text is None for row in rows)
    run.log_metrics(unparsed | {"translations": total})


def _pairs(settings: config.Settings, iteration: str, run: StageRun) -> None:
    folder = paths.pairs(iteration)
    reasons = Counter(row.reason for row in read_rows(folder / paths.DROPS, Drop, may_be_empty=True))
    figures = {"pairs": _lines(folder / paths.PAIRS), "drops": reasons.total()}
    run.log_metrics(figures | {f"drops/{reason}": count for reason, count in reasons.items()})


def _train(settings: config.Settings, iteration: str, run: StageRun) -> None:
    pairs_file, model = paths.pairs(iteration) / paths.PAIRS, paths.model(iteration)
    run.use_dataset(pairs_file, f"pairs {iteration}", "training", _rows_by_language([pairs_file], Pair))
    with (model / "log.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            step = int(row.pop("step"))
            run.log_metrics({name: float(value) for name, value in row.items() if value}, step)
    run.log_model(model, "adapter", upload=True)


def _audit(settings: config.Settings, iteration: str, run: StageRun) -> None:
    from lidr.audit import drift

    figures = drift.read(paths.audit(iteration) / paths.METRICS)
    run.log_metrics(drift.key_figures(figures))
    run.log_artifact(paths.audit(iteration))


def _baseline(settings: config.Settings, model: str, run: StageRun) -> None:
    """Its answers are in the tables of `alpaca`."""


def _evaluation(benchmark: Benchmark, settings: config.Settings, model: str, run: StageRun) -> None:
    """A model's figures on the benchmark's items, and the table of all rows with its answers."""
    report = read_json(benchmark.folder(model) / paths.METRICS)
    if not (metrics := benchmark.figures(report)):
        return
    table, source = benchmark.path(model), benchmark.source(settings)
    rows = read_rows(table, benchmark.record)
    items = [{name: getattr(row, name) for name in _ITEM if hasattr(row, name)} for row in rows]
    name = f"{benchmark.name} {Path(source).name}"
    run.log_evaluation(by_language(metrics), paths.model(model), name, source, items)
    run.log_table(table, f"{table.stem}.json")


def _compare(settings: config.Settings, run: StageRun) -> None:
    from lidr.compare import page
    from lidr.compare import stage as compare
    from lidr.compare.comparison import scores_table
    from lidr.tracking.lookup import SCORES

    figures = read_json(paths.compare() / paths.METRICS)
    for model in settings.models:
        run.log_to_parent(compare.headline(figures[model]), config.iteration_number(model))
        run.log_metrics(compare.intervals(figures[model]), config.iteration_number(model))
    run.describe_parent(page.opening((paths.compare() / paths.REPORT).read_text("utf-8")))
    run.log_artifact(paths.compare())
    run.log_rows(scores_table(settings), SCORES)


_LOG_TO: dict[str, Callable[..., None]] = {
    "base": _base,
    "prompts": _prompts,
    "generate": _generate,
    "score": _score,
    "translate": _translate,
    "pairs": _pairs,
    "train": _train,
    "audit": _audit,
    "baseline": _baseline,
    "compare": _compare,
}


def _rows_by_language(files: Iterable[Path], record: type[Pair | Prompt]) -> dict[str, int]:
    return dict(Counter(row.lang for file in files for row in read_rows(file, record)))


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
