"""MLflow sync: what stages have made, logged from their files, each result once.

    >>> sync(settings, jobs)
    Synced(logged=('train m2 · beta 0.1',), address='sqlite:////home/ada/lidr/mlflow.db')

A run carries its result's identity in the tag `lidr.result`: the command, its parameters, and DVC's hashes of what it
read and wrote. It is searched for before a run is made, so a sync that was killed is completed by the next one, and one
that has nothing to do adds nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lidr import config, paths
from lidr.errors import LidrError
from lidr.tracking import connection, describe, parents, store
from lidr.tracking.batches import log_batches, now
from lidr.tracking.describe import BASE_TAG, Contest, Pipeline
from lidr.tracking.open_runs import close_open_runs
from lidr.tracking.parents import OUTER_TAG, PARENT_TAG
from lidr.tracking.run import StageRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RESULT_TAG = "lidr.result"
COMPLETE_TAG = "lidr.complete"


class Job(Struct, frozen=True, kw_only=True):
    """One stage for one model: the files that it reads and writes, and what they say."""

    stage: str
    model: str | None
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    tell: Callable[[StageRun], None]
    contest: Contest | None = None


class Synced(Struct, frozen=True, kw_only=True):
    """Names of the runs that MLflow has now and did not have before."""

    logged: tuple[str, ...]
    address: str


def is_off() -> bool:
    return os.environ.get("LIDR_TRACKING") == "off"


def sync(settings: config.Settings, jobs: Sequence[Job], outer: str | None = None) -> Synced:
    """Log each job's result that MLflow does not have, in the order of the jobs; `outer` is the run of `mlflow run`.

    Raises LidrError where MLflow does not answer.
    """
    from filelock import FileLock

    root = store.project_root()
    address = store.without_secrets(store.tracking_uri(root))
    lock = root / paths.lock(paths.MLFLOW_ARTIFACTS)
    lock.parent.mkdir(parents=True, exist_ok=True)
    logged: list[str] = []
    # One sync at a time: what a second one finds, it need not log.
    with FileLock(lock), connection.environment():
        try:
            client = connection.connect(root)
            close_open_runs(client, root)
            pipeline = describe.pipeline(settings)
            logged += filter(None, [_log(client, root, settings, pipeline, job, outer) for job in jobs])
        except LidrError:
            raise
        except Exception as error:
            raise LidrError(f"MLflow at {address} did not take all runs: {connection.reason(error)}") from error
    return Synced(logged=tuple(logged), address=address)


def _log(
    client: MlflowClient, root: Path, settings: config.Settings, pipeline: Pipeline, job: Job, outer: str | None
) -> str | None:
    """Log one result; the run's name, or None where MLflow has it already."""
    described = describe.stage(settings, job.stage, job.model, job.inputs, job.contest)
    outputs = describe.hash_tags("out", job.outputs)
    identity = describe.result(described, outputs)
    run = _find(client, pipeline.experiment, identity)
    if run and COMPLETE_TAG in run.data.tags:
        return None
    if run is None:
        parent = parents.find_or_make(client, root, pipeline, outer)
        time = _last_change(job.outputs)
        run = make_run(client, parent, pipeline, described, time, {RESULT_TAG: identity, **outputs}, outer)
    else:
        parent = client.get_run(run.data.tags[PARENT_TAG])
        time = run.info.end_time or _last_change(job.outputs)
    missing = {name: value for name, value in described.params.items() if name not in run.data.params}
    log_batches(client, run.info.run_id, params=missing)
    stage_run = StageRun(client, run, parent)
    job.tell(stage_run)
    stage_run.flush()
    client.set_terminated(stage_run.id, "FINISHED", time)
    if BASE_TAG in pipeline.tags and BASE_TAG not in parent.data.tags:
        client.set_tag(parent.info.run_id, BASE_TAG, pipeline.tags[BASE_TAG])
    if OUTER_TAG not in run.data.tags:
        client.set_terminated(parent.info.run_id, "FINISHED", time)
    # Last: a sync that ended before it is completed by the next one.
    client.set_tag(stage_run.id, COMPLETE_TAG, "yes")
    return described.name


def make_run(
    client: MlflowClient,
    parent: Run,
    pipeline: Pipeline,
    described: describe.Description,
    time: int,
    tags: dict[str, str],
    outer: str | None,
) -> Run:
    """A run of a stage under its parent, which is running again, unless its end is for `mlflow run` to say."""
    if parent.info.run_id == outer:
        tags = {**tags, OUTER_TAG: "yes"}
    elif parent.info.status != "RUNNING":
        client.update_run(parent.info.run_id, status="RUNNING")
    tags = {**pipeline.tags, **described.tags, **tags, PARENT_TAG: parent.info.run_id}
    made = client.create_run(parent.info.experiment_id, time, tags, described.name)
    log_batches(client, made.info.run_id, params=described.params)
    return made


def _find(client: MlflowClient, experiment: str, identity: str) -> Run | None:
    """The run with this result in the project's experiment, or in that of `mlflow run`."""
    own = client.get_experiment_by_name(experiment)
    for run in connection.search(client, f"tags.`{RESULT_TAG}` = '{identity}'", "start_time ASC"):
        if OUTER_TAG in run.data.tags or (own and run.info.experiment_id == own.experiment_id):
            # A search leaves out which models a run used and made.
            return client.get_run(run.info.run_id)
    return None


def _last_change(outputs: Sequence[Path]) -> int:
    """When the last of these files was written, in milliseconds."""
    files = [file for path in outputs for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return max((file.stat().st_mtime_ns for file in files), default=now() * 1_000_000) // 1_000_000
