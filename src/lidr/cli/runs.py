"""How a stage is run and logged to MLflow, and the files that each stage reads and writes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lidr import config, paths, tracking
from lidr.cli import results
from lidr.errors import LidrError
from lidr.evaluation.registry import benchmark_of, benchmarks
from lidr.locks import alone
from lidr.tracking import Job, LiveRun

# What a stage reads of the pipeline's data, as in dvc.yaml, and what it writes.
Files = tuple[list[Path], list[Path]]

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
    with tracked_job(settings, job_of(settings, stage, model)) as live:
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


def track_all(settings: config.Settings) -> None:
    """Log all that is up to date and that MLflow lacks."""
    tracking.sync(settings, up_to_date(settings)[0])


def up_to_date(settings: config.Settings, running: Job | None = None) -> tuple[list[Job], list[str]]:
    """All stages that DVC has for up to date, with the one that has just run; and the names of the others."""
    from lidr.audit.provenance import state

    just_run = stage_name(running) if running else None
    done = state.unchanged(without=just_run) | {just_run}
    jobs = {stage_name(job): job for job in jobs_of(settings)}
    return [job for name, job in jobs.items() if name in done], [name for name in jobs if name not in done]


def stage_name(job: Job) -> str:
    """The stage's name in dvc.yaml."""
    return job.stage if job.stage in _WHOLE else f"{job.stage}@{job.model}"


def jobs_of(settings: config.Settings) -> Iterator[Job]:
    """All stages of the pipeline."""
    yield job_of(settings, "base", paths.BASE)
    for data in settings.data:
        yield from (job_of(settings, stage, data) for stage in _OF_DATA)
    for iteration in settings.iterations:
        yield from (job_of(settings, stage, iteration) for stage in _OF_AN_ITERATION)
    yield job_of(settings, "baseline", settings.baseline.model)
    yield from (job_of(settings, benchmark.name, model) for benchmark in benchmarks() for model in settings.models)
    yield job_of(settings, "compare", None)


def job_of(settings: config.Settings, stage: str, model: str | None) -> Job:
    """The stage's files, and what they say; `model` is the iteration, the data, the model, or None for `compare`."""
    if stage in _OF_DATA:
        inputs, outputs = _files_of_data(settings, stage, model or "")
    elif stage in _OF_AN_ITERATION:
        inputs, outputs = _files_of_iteration(settings, stage, model or "")
    else:
        inputs, outputs = _files_of_evaluation(settings, stage, model or "")
    of_model = (settings,) if model is None else (settings, model)
    log_to = partial(results.log_to(stage), *of_model)
    return Job(stage=stage, model=model, inputs=tuple(inputs), outputs=tuple(outputs), log_to=log_to)


def _files_of_data(settings: config.Settings, stage: str, data: str) -> Files:
    author = [paths.model(paths.BASE), paths.model(settings.named_data(data).by)]
    if stage == "prompts":
        return [paths.SOURCES], [paths.prompts(data)]
    if stage == "generate":
        return [paths.prompts(data), *author], [paths.responses(data)]
    read = [paths.SOURCES, paths.prompts(data), paths.responses(data), *author]
    if stage == "score":
        return read, [paths.scores(data)]
    return read, [paths.translations(data), paths.round_trip(data)]


def _files_of_iteration(settings: config.Settings, stage: str, name: str) -> Files:
    iteration, base = settings.iteration(name), paths.model(paths.BASE)
    data, previous = iteration.data, iteration.previous
    if stage == "train":
        return [paths.pairs(name), base, paths.model(previous)], [paths.model(name)]
    texts = [paths.prompts(data), paths.responses(data), paths.scores(data), paths.translations(data)]
    if stage == "pairs":
        return texts, [paths.pairs(name)]
    before = paths.audit(previous) / paths.METRICS
    read = [paths.SOURCES, base, *texts, paths.round_trip(data), paths.pairs(name), before]
    return read, [paths.audit(name), paths.facts(name), paths.audit_verdicts(name)]


def _files_of_evaluation(settings: config.Settings, stage: str, model: str) -> Files:
    """Of the base, the baseline, a benchmark and the comparison."""
    base = paths.model(paths.BASE)
    match stage:
        case "base":
            return [], [base]
        case "baseline":
            return [paths.SOURCES, base, Path(settings.baseline.source)], [paths.baseline()]
        case "compare":
            measured = [each.folder(model) for model in settings.models for each in benchmarks()]
            # By the hash of the baseline's answers `lidr compare --runs` knows whether win rates are comparable.
            return [paths.baseline(), *measured], [paths.compare()]
    benchmark = benchmark_of(stage)
    return [paths.SOURCES, base, paths.model(model), *benchmark.inputs()], [benchmark.folder(model)]
