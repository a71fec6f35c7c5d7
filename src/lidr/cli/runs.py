"""What each stage logs to MLflow, from the files that it has written.

Files are enough: a stage, `lidr track` and another machine's checkout log the same.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from lidr import config, paths
from lidr.evaluation.registry import Benchmark, Metrics, benchmark_of, benchmarks
from lidr.records import Drop, Pair, Prompt, PromptKind, Response, Score, Translation
from lidr.records.jsonl import read_json, read_rows

if TYPE_CHECKING:
    from lidr.tracking import Job, StageRun, Synced

# What an evaluation asks; the rest of a row is what the model made of it.
_ITEM = ("id", "lang", "task", "prompt", "gold", "baseline")
WHOLE = ("base", "baseline", "compare")


def job(settings: config.Settings, stage: str, model: str | None) -> Job:
    """The stage's files, and what they say; `model` is the iteration, the model, or None for `compare`."""
    from lidr.tracking import Job

    inputs, outputs = _files(settings, stage, model or "")
    of_model = (settings,) if model is None else (settings, model)
    log_to = _LOG_TO.get(stage) or partial(_evaluation, benchmark_of(stage))
    return Job(stage=stage, model=model, inputs=tuple(inputs), outputs=outputs, log_to=partial(log_to, *of_model))


def sync(settings: config.Settings, running: Job | None = None, mlflow_run_id: str | None = None) -> Synced:
    """Log every stage that DVC has for up to date, and the one that has just run; raises LidrError without MLflow."""
    from lidr import tracking
    from lidr.audit.provenance import state

    done = state.unchanged(without=name(running) if running else None)
    if running:
        done.add(name(running))
    jobs = {name(each): each for each in jobs_of(settings)}
    synced = tracking.sync(settings, [each for stage, each in jobs.items() if stage in done], mlflow_run_id)
    return replace(synced, left_out=tuple(stage for stage in jobs if stage not in done))


def jobs_of(settings: config.Settings) -> Iterator[Job]:
    """All stages of the pipeline."""
    yield job(settings, "base", paths.BASE)
    for data in settings.data:
        yield from (job(settings, stage, data) for stage in _OF_DATA)
    for iteration in settings.iterations:
        yield from (job(settings, stage, iteration) for stage in _OF_AN_ITERATION)
    yield job(settings, "baseline", settings.baseline.model)
    yield from (job(settings, benchmark.name, model) for benchmark in benchmarks() for model in settings.models)
    yield job(settings, "compare", None)


def name(job: Job) -> str:
    """The stage's name in dvc.yaml."""
    return job.stage if job.stage in WHOLE else f"{job.stage}@{job.model}"


def by_language(metrics: Metrics) -> dict[str, float]:
    return {f"{name}/{lang}": value for lang, figures in metrics.items() for name, value in figures.items()}


_OF_DATA = ("prompts", "generate", "score", "translate")
_OF_AN_ITERATION = ("pairs", "train", "audit")


def _files(settings: config.Settings, stage: str, model: str) -> tuple[Sequence[Path], tuple[Path]]:
    """What the stage reads of the pipeline's data, as in dvc.yaml, and what it writes."""
    base = paths.model(paths.BASE)
    if stage in _OF_DATA:
        return _files_of_data(stage, model, [base, paths.model(settings.named_data(model).by)])
    if stage in _OF_AN_ITERATION:
        return _files_of_an_iteration(stage, model, settings.iteration(model))
    if stage == "base":
        return [], (paths.model(model),)
    if stage == "baseline":
        return [base, Path(settings.baseline.source)], (paths.baseline(),)
    if stage == "compare":
        measured = [each.folder(name) for name in settings.models for each in benchmarks()]
        # By the hash of the baseline's answers `lidr compare --runs` knows whether win rates are comparable.
        return [paths.baseline(), *measured], (paths.compare(),)
    benchmark = benchmark_of(stage)
    return [base, paths.model(model), *benchmark.inputs()], (benchmark.folder(model),)


def _files_of_data(stage: str, data: str, models: list[Path]) -> tuple[Sequence[Path], tuple[Path]]:
    """`models` are the base and the one that writes."""
    prompts, responses = paths.prompts(data), paths.responses(data)
    if stage == "prompts":
        return [], (prompts,)
    if stage == "generate":
        return [prompts, *models], (responses,)
    output = paths.scores(data) if stage == "score" else paths.translations(data)
    return [prompts, responses, *models], (output,)


def _files_of_an_iteration(stage: str, name: str, of: config.Iteration) -> tuple[Sequence[Path], tuple[Path]]:
    base = paths.model(paths.BASE)
    if stage == "train":
        return [paths.pairs(name), base, paths.model(of.previous)], (paths.model(name),)
    texts = [paths.prompts(of.data), paths.responses(of.data), paths.scores(of.data), paths.translations(of.data)]
    if stage == "pairs":
        return texts, (paths.pairs(name),)
    before = paths.audit(of.previous) / paths.METRICS
    return [base, *texts, paths.round_trip(of.data), paths.pairs(name), before], (paths.audit(name),)


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
    run.log_artifact(model, "adapter")


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
