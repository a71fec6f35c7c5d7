"""MLflow sync: what stages have made, logged from their files, each result once.

    >>> sync(settings, jobs)
    Synced(logged=('train m2 · beta 0.1',), address='sqlite:////home/ada/lidr/mlflow.db')

A run carries its result's identity in the tag `lidr.result`: the command, its parameters, and DVC's hashes of what it
read and wrote. It is searched for before a run is made, so a sync that was killed is completed by the next one, and one
that has nothing to do adds nothing. A run that was logged live and did not end, because the stage was killed or MLflow
was away, is open with the same work in `lidr.work`: the command, its parameters and what it read. It is taken up again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lidr import config, paths
from lidr.errors import LidrError
from lidr.tracking import connection, describe, parents, store, times
from lidr.tracking.describe import Description, Job
from lidr.tracking.parents import OUTER_TAG, PARENT_TAG
from lidr.tracking.run import StageRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RESULT_TAG, WORK_TAG = "lidr.result", "lidr.work"
COMPLETE_TAG = "lidr.complete"


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
    root = store.project_root()
    logged: list[str] = []
    # One sync at a time: what a second one finds, it need not log.
    with connection.one_at_a_time(root, paths.MLFLOW_ARTIFACTS), connection.environment():
        try:
            client = connection.connect(root)
            pipeline = describe.pipeline(settings)
            for job in jobs:
                described = describe.stage(settings, job)
                if _log(client, root, settings.tracking.experiment, pipeline, job, described, outer):
                    logged.append(described.name)
        except LidrError:
            raise
        except Exception as error:
            reason = connection.reason(error)
            raise LidrError(f"MLflow at {store.address(root)} did not take all runs: {reason}") from error
    return Synced(logged=tuple(logged), address=store.address(root))


def _log(
    client: MlflowClient,
    root: Path,
    experiment: str,
    pipeline: Description,
    job: Job,
    described: Description,
    outer: str | None,
) -> bool:
    """Log one result; False where MLflow has it already."""
    outputs = describe.hash_tags("out", job.outputs)
    identity = describe.identity(described, outputs)
    run = _find(client, experiment, identity)
    if run and COMPLETE_TAG in run.data.tags:
        return False
    changed = _last_change(job.outputs)
    if run:
        parent = client.get_run(run.data.tags[PARENT_TAG])
    else:
        parent = parents.find_or_make(client, root, experiment, pipeline, outer)
        tags = {RESULT_TAG: identity, **outputs}
        run = open_run(client, parent, described, tags, outer, times.began(job.outputs, changed))
    time = run.info.end_time or max(run.info.start_time, changed)
    log_params(client, run, described)
    stage_run = StageRun(client, run, parent)
    job.tell(stage_run)
    stage_run.flush()
    stage_run.end("FINISHED", time)
    # Last: a sync that ended before it is completed by the next one.
    client.set_tag(run.info.run_id, COMPLETE_TAG, "yes")
    return True


def open_run(
    client: MlflowClient, parent: Run, described: Description, tags: dict[str, str], outer: str | None, time: int
) -> Run:
    """The stage's open run under its parent, which is made where there is none, with these tags."""
    from mlflow.entities import RunTag

    work = describe.identity(described, {})
    same_work = f"tags.`{WORK_TAG}` = '{work}' AND tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
    found = client.search_runs([parent.info.experiment_id], f"{same_work} AND attributes.status = 'RUNNING'")
    if found:
        client.log_batch(found[0].info.run_id, tags=[RunTag(*tag) for tag in tags.items()])
        return client.get_run(found[0].info.run_id)
    tags = {**described.tags, **tags, WORK_TAG: work, PARENT_TAG: parent.info.run_id}
    if parent.info.run_id == outer:
        tags[OUTER_TAG] = "yes"
    return client.create_run(parent.info.experiment_id, time, tags, described.name)


def log_params(client: MlflowClient, run: Run, described: Description) -> None:
    from mlflow.entities import Param

    client.log_batch(run.info.run_id, params=[Param(*param) for param in described.params.items()])


def _find(client: MlflowClient, experiment: str, identity: str) -> Run | None:
    """The run with this result in the project's experiment, or in that of `mlflow run`."""
    own = client.get_experiment_by_name(experiment)
    for run in connection.search(client, f"tags.`{RESULT_TAG}` = '{identity}'", "start_time ASC"):
        if OUTER_TAG in run.data.tags or (own and run.info.experiment_id == own.experiment_id):
            return run
    return None


def _last_change(outputs: Sequence[Path]) -> int:
    """When the last of these files was written, in milliseconds."""
    files = [file for path in outputs for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return max((file.stat().st_mtime_ns // 1_000_000 for file in files), default=connection.now())
