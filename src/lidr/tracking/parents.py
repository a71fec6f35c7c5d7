"""The parent run: one for one state of the pipeline, or the run that `mlflow run` made around the stages.

    lab · beta 0.1 · 300 prompts      tags: lidr.pipeline = 5c3f..., the state's fingerprint; params: all settings

Several machines may log to one server at once: of two parents that are created at once, the older one stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from lidr.config import Settings
from lidr.tracking import store
from lidr.tracking.describe import PIPELINE_TAG, Description

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"
# On a child of the run of `mlflow run`, which MLflow ends itself.
OUTER_TAG = "lidr.outer"
# MLflow's pages then show runs, models and charts, not traces and prompts.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_NAME_BY_MLFLOW = re.compile(r"^[a-z]+-[a-z]+-\d+$")


class Target(Struct, frozen=True, kw_only=True):
    """Where a state's runs go: a client, an experiment's name, the parent's description, the run of `mlflow run`."""

    client: MlflowClient
    experiment: str
    pipeline: Description
    mlflow_run_id: str | None


def connect(settings: Settings, pipeline: Description, mlflow_run_id: str | None) -> Target:
    """The target of the project's store; raises LidrError where that store is another project's."""
    client = store.connect()
    if experiment := client.get_experiment_by_name(settings.tracking.experiment):
        store.check_place(experiment)
    return Target(
        client=client,
        experiment=settings.tracking.experiment,
        pipeline=pipeline,
        mlflow_run_id=mlflow_run_id,
    )


def find_or_create_parent(target: Target) -> Run:
    """The parent of this state's runs, with the params and tags that it lacks."""
    from mlflow.exceptions import MlflowException

    with store.one_at_a_time("store"):
        parent = _run_of_mlflow_run(target) or _find_or_create(target, _experiment(target))
        try:
            _add_missing(target, parent)
        except MlflowException:
            # Another machine may set the same params at this moment; a database accepts each once.
            _add_missing(target, target.client.get_run(parent.info.run_id))
    return parent


def _find_or_create(target: Target, experiment_id: str) -> Run:
    """The state's oldest parent, created if there is none."""
    found = _oldest(target, experiment_id)
    if found:
        return found
    created = target.client.create_run(experiment_id, store.now(), target.pipeline.tags, target.pipeline.name)
    # The lock is this machine's: another one may create a parent at the same moment.
    found = _oldest(target, experiment_id)
    if found is None or found.info.run_id == created.info.run_id:
        return created
    target.client.delete_run(created.info.run_id)
    return found


def _oldest(target: Target, experiment_id: str) -> Run | None:
    state = target.pipeline.tags[PIPELINE_TAG]
    found = target.client.search_runs([experiment_id], f"tags.`{PIPELINE_TAG}` = '{state}'")
    return min(found, key=lambda run: (run.info.start_time, run.info.run_id), default=None)


def _run_of_mlflow_run(target: Target) -> Run | None:
    """The run that `mlflow run` made, unless it is not in this store, as when another was named since."""
    from mlflow.exceptions import MlflowException

    try:
        return target.client.get_run(target.mlflow_run_id) if target.mlflow_run_id else None
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


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

    found = target.client.get_experiment_by_name(target.experiment)
    if found:
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
