"""The parent run: one for one state of the pipeline, or the run that `mlflow run` made around the stages.

    lab · beta 0.1 · 300 prompts      tags: lidr.pipeline = 5c3f..., the state's fingerprint; params: all settings

Several machines may log to one server at once: of two parents that are made in the same moment, the older one stays.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from lidr import paths
from lidr.tracking import connection, store
from lidr.tracking.describe import PIPELINE_TAG, Description

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"
# On a child of the run of `mlflow run`, whose end is for MLflow to say.
OUTER_TAG = "lidr.outer"
# MLflow's pages then show runs, models and charts, not traces and prompts.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_NAME_BY_MLFLOW = re.compile(r"^[a-z]+-[a-z]+-\d+$")


def find_or_make(client: MlflowClient, root: Path, experiment: str, pipeline: Description, outer: str | None) -> Run:
    """The parent of this state's runs, with the params and tags that it lacks; `outer` is the run of `mlflow run`."""
    from mlflow.exceptions import MlflowException

    with connection.one_at_a_time(root, paths.MLFLOW_STORE):
        parent = _outer_run(client, outer) or _own(client, _experiment(client, root, experiment), pipeline)
        try:
            _complete(client, parent, pipeline)
        except MlflowException:
            # Another machine may have given it the same in this very moment; a database takes a param once.
            _complete(client, client.get_run(parent.info.run_id), pipeline)
    return parent


def _own(client: MlflowClient, experiment: str, pipeline: Description) -> Run:
    """The state's oldest parent, which is made where there is none."""
    first = _first(client, experiment, pipeline)
    if first:
        return first
    made = client.create_run(experiment, connection.now(), pipeline.tags, pipeline.name)
    # A lock on this machine cannot see another one that makes it at the same moment.
    first = _first(client, experiment, pipeline)
    if first is None or first.info.run_id == made.info.run_id:
        return made
    client.delete_run(made.info.run_id)
    return first


def _first(client: MlflowClient, experiment: str, pipeline: Description) -> Run | None:
    found = client.search_runs([experiment], f"tags.`{PIPELINE_TAG}` = '{pipeline.tags[PIPELINE_TAG]}'")
    return min(found, key=lambda run: (run.info.start_time, run.info.run_id), default=None)


def _outer_run(client: MlflowClient, run_id: str | None) -> Run | None:
    """The run that `mlflow run` made, unless it is not in this store, as when another was named since."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id) if run_id else None
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _complete(client: MlflowClient, parent: Run, pipeline: Description) -> None:
    """Give the parent the params and tags that it lacks; what it says already stays."""
    from mlflow.entities import Param, RunTag

    params = [Param(*param) for param in pipeline.params.items() if param[0] not in parent.data.params]
    tags = [RunTag(*tag) for tag in pipeline.tags.items() if tag[0] not in parent.data.tags]
    if _NAME_BY_MLFLOW.match(parent.info.run_name or ""):
        tags.append(RunTag("mlflow.runName", pipeline.name))
    client.log_batch(parent.info.run_id, params=params, tags=tags)


def _experiment(client: MlflowClient, root: Path, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found:
        return found.experiment_id
    try:
        return client.create_experiment(name, store.artifact_location(root), _EXPERIMENT_TAGS)
    except MlflowException as error:
        # Another machine made it since.
        found = client.get_experiment_by_name(name)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
            raise
        return found.experiment_id
