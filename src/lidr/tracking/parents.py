"""The parent run: one for one state of the pipeline, or the run that `mlflow run` made around the stages.

    lab · beta 0.1 · 300 prompts      tags: lidr.pipeline = 5c3f..., the state's fingerprint; params: all settings

Several machines may log to one server at once: of two parents that are made in the same moment, the older one stays.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from lidr.tracking import connection, store
from lidr.tracking.batches import log_batches, now
from lidr.tracking.describe import Pipeline

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PIPELINE_TAG = "lidr.pipeline"
MADE_TAG = "lidr.pipeline.made"
PARENT_TAG = "mlflow.parentRunId"
# On a child of the run of `mlflow run`, whose end is for MLflow to say.
OUTER_TAG = "lidr.outer"
# MLflow's pages then show runs, models and charts, not traces and prompts.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_NAME_BY_MLFLOW = re.compile(r"^[a-z]+-[a-z]+-\d+$")


def find_or_make(client: MlflowClient, root: Path, pipeline: Pipeline, outer: str | None) -> Run:
    """The parent of this state's runs, with the params and tags that it lacks; `outer` is the run of `mlflow run`."""
    with connection.one_at_a_time(root):
        parent = _outer_run(client, outer)
        if parent is None:
            experiment = _experiment(client, root, pipeline.experiment)
            parent = _first(client, experiment, pipeline) or _make(client, experiment, pipeline)
        _complete(client, parent, pipeline)
    return parent


def _first(client: MlflowClient, experiment: str, pipeline: Pipeline) -> Run | None:
    found = client.search_runs([experiment], f"tags.`{PIPELINE_TAG}` = '{pipeline.fingerprint}'")

    def made(run: Run) -> tuple[int, str]:
        return int(run.data.tags.get(MADE_TAG, run.info.start_time)), run.info.run_id

    return min(found, key=made, default=None)


def _make(client: MlflowClient, experiment: str, pipeline: Pipeline) -> Run:
    """A parent; or the one that another machine made at the same moment, which a lock on this one cannot see."""
    tags = {PIPELINE_TAG: pipeline.fingerprint, MADE_TAG: str(now()), **_tags(pipeline)}
    made = client.create_run(experiment, now(), tags, pipeline.name)
    first = _first(client, experiment, pipeline)
    if first is None or first.info.run_id == made.info.run_id:
        return made
    client.delete_run(made.info.run_id)
    return first


def _outer_run(client: MlflowClient, run_id: str | None) -> Run | None:
    """The run that `mlflow run` made, unless it is not in this store, as when another was named since."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id) if run_id else None
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _complete(client: MlflowClient, parent: Run, pipeline: Pipeline) -> None:
    """Give the parent the params and tags that it lacks; what it says already stays."""
    from mlflow.exceptions import MlflowException

    try:
        _add_missing(client, parent, pipeline)
    except MlflowException:
        # Another machine may have given it the same in this very moment; a database takes a param once.
        _add_missing(client, client.get_run(parent.info.run_id), pipeline)


def _add_missing(client: MlflowClient, parent: Run, pipeline: Pipeline) -> None:
    params = {name: value for name, value in pipeline.params.items() if name not in parent.data.params}
    wanted = {PIPELINE_TAG: pipeline.fingerprint, **_tags(pipeline)}
    tags = {name: value for name, value in wanted.items() if name not in parent.data.tags}
    if _NAME_BY_MLFLOW.match(parent.info.run_name or ""):
        tags["mlflow.runName"] = pipeline.name
    if params or tags:
        log_batches(client, parent.info.run_id, params=params, tags=tags)


def _tags(pipeline: Pipeline) -> dict[str, str]:
    return {**pipeline.tags, "lidr.stage": "pipeline"}


def _experiment(client: MlflowClient, root: Path, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found:
        return found.experiment_id
    from mlflow.exceptions import MlflowException

    uri = store.tracking_uri(root)
    try:
        return client.create_experiment(name, store.artifact_location(root, uri), _EXPERIMENT_TAGS)
    except MlflowException as error:
        # Another machine made it since.
        found = client.get_experiment_by_name(name)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
            raise
        return found.experiment_id
