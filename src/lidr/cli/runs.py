"""How a stage is run and logged to MLflow, and what each stage logs, from the files that it has written.

Files are enough: a stage, `lidr track` and another machine's checkout log the same.
"""

from __future__ import annotations

import csv
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lidr import config, paths, tracking
from lidr.errors import LidrError
from lidr.evaluation.registry import Benchmark, Metrics, benchmark_of, benchmarks
from lidr.locks import alone
from lidr.records import Drop, Pair, Prompt, PromptKind, Response, Score, Translation
from lidr.records.jsonl import read_json, read_rows
from lidr.tracking import Job, LiveRun, StageRun

# What an evaluation asks; the rest of a row is what the model made of it.
_ITEM = ("id", "lang", "task", "prompt", "gold", "baseline")
_WHOLE = ("base", "baseline", "compare")
_OF_DATA = ("prompts", "generate", "score", "translate")
_OF_AN_ITERATION = ("pairs", "train", "audit")
# Stages that ask a model, and may be at work for days; importing MLflow takes three seconds.
_LONG = ("generate", "score", "translate", "train", "baseline", *(benchmark.name for benchmark in benchmarks()))
# Seconds from which on a stage of `dvc repro` logs itself; `compare` logs the shorter ones.
_AT_ONCE = 30.0
# What DVC sets for the stages that it runs, and `mlflow run` for its commands.
_DVC_STAGE, _MLFLOW_RUN = "DVC_STAGE", "MLFLOW_RUN_ID"


@contextmanager
def tracked(settings: config.Settings, stage: str, model: str | None) -> Iterator[LiveRun]:
    """Run a stage under a lock on its output, and log it; yields what logs live.

    `train` is logged live, and so is every long stage where system metrics are asked for; `compare`, the last stage,
    logs all that came before it as well.
    """
    with tracked_job(settings, job(settings, stage, model)) as live:
        yield live


@contextmanager
def tracked_job(settings: config.Settings, job: Job, at_once: bool = False) -> Iterator[LiveRun]:
    """The same for any job; `at_once` logs it at its end, however short it was."""
    # Libraries that the stage uses must not log to that run by themselves.
    mlflow_run_id = os.environ.pop(_MLFLOW_RUN, None)
    is_live = job.stage == "train" or (settings.tracking.system_metrics and job.stage in _LONG)
    by_hand = _DVC_STAGE not in os.environ and (mlflow_run_id is not None or job.stage in _LONG)
    begun = time.monotonic()
    with alone(job.outputs[0]):
        with tracking.time_kept(job.outputs[0]):
            if is_live:
                with tracking.live_run(settings, job, mlflow_run_id) as live:
                    yield live
            else:
                yield LiveRun()
        if tracking.is_off():
            return
        try:
            if job.stage == "compare":
                tracking.sync(settings, up_to_date(settings, job)[0], mlflow_run_id)
            elif is_live or at_once or by_hand or time.monotonic() - begun > _AT_ONCE:
                tracking.sync(settings, [job], mlflow_run_id)
        except LidrError as error:
            remedy = f"`{job.command}` logs it again" if job.against else "`lidr track` logs it later"
            tracking.warn(error, remedy)


def up_to_date(settings: config.Settings, running: Job | None = None) -> tuple[list[Job], list[str]]:
    """All stages that DVC has for up to date, with the one that has just run; and the names of the others."""
    from lidr.audit.provenance import state

    just_run = name(running) if running else None
    done = state.unchanged(without=just_run) | {just_run}
    jobs = list(jobs_of(settings))
    return [each for each in jobs if name(each) in done], [name(each) for each in jobs if name(each) not in done]


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
    return job.stage if job.stage in _WHOLE else f"{job.stage}@{job.model}"


def job(settings: config.Settings, stage: str, model: str | None) -> Job:
    """The stage's files, and what they say; `model` is the iteration, the data, the model, or None for `compare`."""
    inputs, output = _files(settings, stage, model or "")
    of_model = (settings,) if model is None else (settings, model)
    log_to = _LOG_TO.get(stage) or partial(_evaluation, benchmark_of(stage))
    return Job(stage=stage, model=model, inputs=tuple(inputs), outputs=(output,), log_to=partial(log_to, *of_model))


def _files(settings: config.Settings, stage: str, name: str) -> tuple[Sequence[Path], Path]:
    """What the stage reads of the pipeline's data, as in dvc.yaml, and what it writes."""
    base = paths.model(paths.BASE)
    match stage:
        case "base":
            return [], paths.model(name)
        case "baseline":
            return [base, Path(settings.baseline.source)], paths.baseline()
        case "compare":
            measured = [each.folder(model) for model in settings.models for each in benchmarks()]
            # By the hash of the baseline's answers `lidr compare --runs` knows whether win rates are comparable.
            return [paths.baseline(), *measured], paths.compare()
    if stage not in _OF_DATA + _OF_AN_ITERATION:
        benchmark = benchmark_of(stage)
        return [base, paths.model(name), *benchmark.inputs()], benchmark.folder(name)
    data = name if stage in _OF_DATA else settings.iteration(name).data
    prompts, responses = paths.prompts(data), paths.responses(data)
    author = paths.model(settings.named_data(data).by)
    texts = [prompts, responses, paths.scores(data), paths.translations(data)]
    match stage:
        case "prompts":
            return [], prompts
        case "generate":
            return [prompts, base, author], responses
        case "score":
            return [prompts, responses, base, author], paths.scores(data)
        case "translate":
            return [prompts, responses, base, author], paths.translations(data)
        case "pairs":
            return texts, paths.pairs(name)
    previous = settings.iteration(name).previous
    if stage == "train":
        return [paths.pairs(name), base, paths.model(previous)], paths.model(name)
    before = paths.audit(previous) / paths.METRICS
    return [base, *texts, paths.round_trip(data), paths.pairs(name), before], paths.audit(name)


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
