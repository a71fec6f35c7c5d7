"""MLflow sync: the results of stages, logged from their files, each once, under the parent run of the state.

    lab · beta 0.1 · 300 prompts        the parent; lidr.pipeline: the state's fingerprint; params: all settings
      train m1 · beta 0.1               lidr.work: the hash of the command, its params and inputs; finds an open run
                                        lidr.result: the hash of the same and the outputs; finds a finished one
                                        lidr.complete: everything was logged

A killed sync is completed by the next one, and a sync without new results adds nothing. A live run is open where its
stage was killed or MLflow went away: it is resumed. Several machines may log to one server at once: of two parents that
are created at once, the older one stays. A stage's start is in no output:

    .lidr/times/reports-mgsm-m1.json      {"began": 1764360000123, "ended": 1764360012345}       milliseconds
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lidr import paths
from lidr.config import Settings
from lidr.records.jsonl import read_json, write_json
from lidr.tracking import describe, store
from lidr.tracking.describe import PIPELINE_TAG, Description, Job
from lidr.tracking.hashes import files_of
from lidr.tracking.run import OUTER_TAG, PARENT_TAG, StageRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RESULT_TAG, WORK_TAG, COMPLETE_TAG = "lidr.result", "lidr.work", "lidr.complete"
# MLflow's pages then show runs, models and charts, not traces and prompts.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_NAME_BY_MLFLOW = re.compile(r"^[a-z]+-[a-z]+-\d+$")
# DVC may rewrite a stage's outputs when it hashes them: this many milliseconds later at most.
_SETTLED = 60_000


def is_off() -> bool:
    return os.environ.get("LIDR_TRACKING") == "off"


def sync(settings: Settings, jobs: Sequence[Job], mlflow_run_id: str | None = None) -> list[str]:
    """Log each job's result that MLflow does not have, in order, in the run of `mlflow run` if any; the runs' names.

    Raises LidrError where MLflow does not answer.
    """
    logged: list[str] = []
    pipeline = describe.pipeline(settings)
    # One at a time, so that a second sync does not log the same results.
    with store.one_at_a_time("sync"), store.failures(" did not take all runs"):
        target = connect(settings, pipeline, mlflow_run_id)
        for job in jobs:
            described = describe.stage(settings, job, pipeline)
            if _log(target, job, described):
                logged.append(described.name)
    return logged


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


# --- runs, parents and experiments ------------------------------------------------------------------------------------


class Target(Struct, frozen=True):
    """Where a state's runs go: a client, an experiment's name, the parent's description, the run of `mlflow run`."""

    client: MlflowClient
    experiment: str
    pipeline: Description
    mlflow_run_id: str | None


def connect(settings: Settings, pipeline: Description, mlflow_run_id: str | None) -> Target:
    """The target of the project's store; raises LidrError where that store is another project's."""
    client, name = store.connect(), settings.tracking.experiment
    if experiment := client.get_experiment_by_name(name):
        store.check_place(experiment)
    return Target(client, name, pipeline, mlflow_run_id)


def open_stage_run(target: Target, described: Description, tags: dict[str, str], start: int) -> StageRun:
    """The state's open run of this work, or a new one that began at `start`; it gets the tags, and params it lacks."""
    from mlflow.entities import RunTag

    client, parent = target.client, _find_or_create_parent(target)
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


def _find_or_create_parent(target: Target) -> Run:
    """The parent of this state's runs, or the run of `mlflow run`, with the params and tags that it lacks."""
    from mlflow.exceptions import MlflowException

    with store.one_at_a_time("store"):
        parent = _run_of_mlflow_run(target) or _parent_of_state(target, _experiment(target))
        try:
            _add_missing(target, parent)
        except MlflowException:
            # Another machine may set the same params at this moment; a database accepts each once.
            _add_missing(target, target.client.get_run(parent.info.run_id))
    return parent


def _run_of_mlflow_run(target: Target) -> Run | None:
    """The run that `mlflow run` made, unless it is not in this store, as when another was named since."""
    from mlflow.exceptions import MlflowException

    try:
        return target.client.get_run(target.mlflow_run_id) if target.mlflow_run_id else None
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _parent_of_state(target: Target, experiment_id: str) -> Run:
    """The state's oldest parent, created if there is none."""
    client, condition = target.client, f"tags.`{PIPELINE_TAG}` = '{target.pipeline.tags[PIPELINE_TAG]}'"
    order = ["start_time ASC", "run_id ASC"]
    if found := client.search_runs([experiment_id], condition, order_by=order, max_results=1):
        return found[0]
    created = client.create_run(experiment_id, store.now(), target.pipeline.tags, target.pipeline.name)
    # The lock is this machine's: another one may create a parent at the same moment.
    oldest = client.search_runs([experiment_id], condition, order_by=order, max_results=1)[0]
    if oldest.info.run_id != created.info.run_id:
        client.delete_run(created.info.run_id)
    return oldest


def _add_missing(target: Target, parent: Run) -> None:
    """Add the params and tags that the parent lacks; existing ones stay."""
    from mlflow.entities import Param, RunTag

    params = [Param(*param) for param in target.pipeline.params.items() if param[0] not in parent.data.params]
    tags = [RunTag(*tag) for tag in target.pipeline.tags.items() if tag[0] not in parent.data.tags]
    if _NAME_BY_MLFLOW.match(parent.info.run_name or ""):
        tags.append(RunTag("mlflow.runName", target.pipeline.name))
    target.client.log_batch(parent.info.run_id, params=params, tags=tags)


def _experiment(target: Target) -> str:
    """The id of the experiment, created if there is none."""
    from mlflow.exceptions import MlflowException

    if found := target.client.get_experiment_by_name(target.experiment):
        return found.experiment_id
    try:
        location = store.artifact_location(store.project_root())
        return target.client.create_experiment(target.experiment, location, _EXPERIMENT_TAGS)
    except MlflowException as error:
        # Another machine has created it since.
        found = target.client.get_experiment_by_name(target.experiment)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
            raise
        return found.experiment_id
