"""MLflow sync: the results of stages, logged from their files, each once.

Three tags of a run make this possible:

    lidr.work       the hash of the command, its params and inputs; finds an open run to resume
    lidr.result     the hash of the same and the outputs; finds a finished one
    lidr.complete   everything was logged

A killed sync is completed by the next one, and a sync without new results adds nothing. A live run is open where its
stage was killed or MLflow went away: it is resumed. A stage's start is in no output:

    .lidr/times/reports-mgsm-m1.json      {"began": 1764360000123, "ended": 1764360012345}       milliseconds
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lidr import paths
from lidr.config import Settings
from lidr.records.jsonl import read_json, write_json
from lidr.tracking import describe, parents, store
from lidr.tracking.describe import Description, Job
from lidr.tracking.hashes import files_of
from lidr.tracking.parents import OUTER_TAG, PARENT_TAG, Target
from lidr.tracking.run import StageRun

if TYPE_CHECKING:
    from mlflow.entities import Run

RESULT_TAG, WORK_TAG, COMPLETE_TAG = "lidr.result", "lidr.work", "lidr.complete"
# DVC may rewrite a stage's outputs when it hashes them: this many milliseconds later at most.
_SETTLED = 60_000


class Synced(Struct, frozen=True, kw_only=True):
    """Names of the newly logged runs, and of the stages that were left out since they are not up to date."""

    logged: tuple[str, ...]
    address: str
    left_out: tuple[str, ...] = ()


def is_off() -> bool:
    return os.environ.get("LIDR_TRACKING") == "off"


def sync(settings: Settings, jobs: Sequence[Job], mlflow_run_id: str | None = None) -> Synced:
    """Log each job's result that MLflow does not have, in the order of the jobs, in the run of `mlflow run` if any.

    Raises LidrError where MLflow does not answer.
    """
    logged: list[str] = []
    pipeline = describe.pipeline(settings)
    # One at a time, so that a second sync does not log the same results.
    with store.one_at_a_time("sync"), store.environment(), store.failures(" did not take all runs"):
        target = parents.connect(settings, pipeline, mlflow_run_id)
        for job in jobs:
            described = describe.stage(settings, job, pipeline)
            if _log(target, job, described):
                logged.append(described.name)
    return Synced(logged=tuple(logged), address=store.address())


def open_stage_run(target: Target, described: Description, tags: dict[str, str], start: int) -> StageRun:
    """The state's open run of this work, or a new one that began at `start`; it gets the tags, and params it lacks."""
    from mlflow.entities import RunTag

    client, parent = target.client, parents.find_or_create_parent(target)
    work = describe.identity(described, {})
    same_work = f"tags.`{WORK_TAG}` = '{work}' AND tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
    found = client.search_runs([parent.info.experiment_id], f"{same_work} AND attributes.status = 'RUNNING'")
    if found:
        run_id = found[0].info.run_id
        client.log_batch(run_id, tags=[RunTag(*tag) for tag in tags.items()])
        run = client.get_run(run_id)
    else:
        tags = {**described.tags, **tags, WORK_TAG: work, PARENT_TAG: parent.info.run_id}
        if parent.info.run_id == target.mlflow_run_id:
            tags[OUTER_TAG] = "yes"
        run = client.create_run(parent.info.experiment_id, start, tags, described.name)
    stage_run = StageRun(client, run, parent)
    stage_run.log_params(described.params)
    return stage_run


@contextmanager
def time_kept(output: Path) -> Iterator[None]:
    """Keep when the block began and ended that made this output, unless an error ends it."""
    began = store.now()
    yield
    write_json(paths.times(output), {"began": began, "ended": store.now()})


def _log(target: Target, job: Job, described: Description) -> bool:
    """Log one result; False where MLflow has it already."""
    outputs = describe.hash_tags("out", job.outputs)
    result = describe.identity(described, outputs)
    run = _find(target, result)
    if run and COMPLETE_TAG in run.data.tags:
        return False
    start, end = _span(job.outputs)
    if run:
        stage_run = StageRun(target.client, run, target.client.get_run(run.data.tags[PARENT_TAG]))
        stage_run.log_params(described.params)
    else:
        stage_run = open_stage_run(target, described, {RESULT_TAG: result, **outputs}, start)
    job.log_to(stage_run)
    stage_run.flush()
    # A run that was logged live has its own end.
    stage_run.end("FINISHED", stage_run.info.end_time or max(stage_run.info.start_time, end))
    # Last: a sync that ended before it is completed by the next one.
    stage_run.tag(COMPLETE_TAG, "yes")
    return True


def _find(target: Target, result: str) -> Run | None:
    """The run with this result in the project's experiment, or in that of `mlflow run`."""
    own = target.client.get_experiment_by_name(target.experiment)
    for run in store.search(target.client, f"tags.`{RESULT_TAG}` = '{result}'", "start_time ASC"):
        if OUTER_TAG in run.data.tags or (own and run.info.experiment_id == own.experiment_id):
            return run
    return None


def _span(outputs: Sequence[Path]) -> tuple[int, int]:
    """When the stage that made these outputs began and ended, in milliseconds.

    An output from DVC's cache was not made here: its time is not in the kept span, or none is kept. Its start is then
    its end.
    """
    files = [file for path in outputs for file in files_of(path)]
    end = max((file.stat().st_mtime_ns // 1_000_000 for file in files), default=store.now())
    if not files or not (kept := paths.times(outputs[0])).exists():
        return end, end
    times = read_json(kept)
    was_made_here = times["began"] <= end <= times["ended"] + _SETTLED
    return times["began"] if was_made_here else end, end
