"""Logged models, found by the hash of their data, and the registry's versions of them.

    m2    LoggedModel(name="m2", tags={"dvc.md5": "1b2c....dir", "lidr.base": "3f1c9a04", ...}, type="adapter")

Training makes a logged model; evaluations of the same data attach their metrics to it, whichever pipeline trained it.
One that is evaluated where no training was logged, as after `dvc pull`, is made then, without files. In the registry
each profile has a registered model, whose versions are logged models; promoted a second time, it is the same version.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lidr import config, paths
from lidr.errors import LidrError
from lidr.tracking import store
from lidr.tracking.describe import MODEL_HASH_TAG, model_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "best"


def find_or_create(
    client: MlflowClient, experiment: str, folder: Path, model_type: str, run_id: str | None
) -> LoggedModel:
    """The one logged model with this folder's data; where two machines make it at once, the older one stays."""
    tags = model_tags(folder)
    if found := _with_data(client, [experiment], tags):
        return found[0]
    made = client.create_logged_model(
        experiment, name=folder.name, source_run_id=run_id, tags=tags, model_type=model_type
    )
    first = _with_data(client, [experiment], tags)[0]
    if first.model_id != made.model_id:
        client.delete_logged_model(made.model_id)
    return first


def _with_data(client: MlflowClient, experiments: list[str], tags: dict[str, str]) -> list[LoggedModel]:
    """The logged models with the data that these tags name, the oldest first."""
    found = client.search_logged_models(experiments, f"tags.`{MODEL_HASH_TAG}` = '{tags[MODEL_HASH_TAG]}'")
    return sorted(found, key=lambda model: (model.creation_timestamp, model.model_id))


def complete(client: MlflowClient, model: LoggedModel, folder: Path | None) -> None:
    """Upload the model's files, if any, and mark it as ready; idempotent."""
    from mlflow.entities import LoggedModelStatus
    from mlflow.models import Model
    from mlflow.models.model import MLMODEL_FILE_NAME

    if folder:
        client.log_model_artifacts(model.model_id, str(folder))
    elif model.status == LoggedModelStatus.READY:
        return
    # The file by which MLflow's pages know a model; without a flavour, as lidr loads it and MLflow does not.
    about = Model(model_uuid=model.model_id, model_id=model.model_id, metadata=dict(model.tags))
    with tempfile.TemporaryDirectory() as temporary:
        about.save(str(Path(temporary) / MLMODEL_FILE_NAME))
        client.log_model_artifacts(model.model_id, temporary)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


# --- the registry -----------------------------------------------------------------------------------------------------


def promote(settings: config.Settings, model: str, why: str) -> ModelVersion:
    """Register models/<model> and give its version the alias; `why` is the version's description.

    Raises LidrError where MLflow does not answer, or does not know the model's data.
    """
    folder = paths.model(model)
    tags = model_tags(folder)
    name = f"{settings.tracking.experiment}-{settings.profile}"
    with store.opened() as client:
        # The project's own; else one of another experiment, as `mlflow run` may have been given.
        experiments = {one.experiment_id: one.name for one in client.search_experiments()}
        found = _with_data(client, list(experiments), tags)
        found.sort(key=lambda one: experiments[one.experiment_id] != settings.tracking.experiment)
        if not found:
            raise LidrError(
                f"MLflow at {store.address()} knows no model with the data of {folder} ({tags[MODEL_HASH_TAG]}): "
                "neither its training nor an evaluation of it was logged there"
            )
        _upload_what_is_missing(client, found[0], folder)
        client.set_registered_model_alias(name, ALIAS, _version(client, name, found[0], tags, why))
        return client.get_model_version_by_alias(name, ALIAS)


def _upload_what_is_missing(client: MlflowClient, logged: LoggedModel, folder: Path) -> None:
    """A model that was evaluated here but trained elsewhere has no files in MLflow yet."""
    there = {Path(artifact.path).name for artifact in client.list_logged_model_artifacts(logged.model_id)}
    if any(file.name not in there for file in folder.iterdir()):
        complete(client, logged, folder)


def _version(client: MlflowClient, name: str, logged: LoggedModel, tags: dict[str, str], why: str) -> str:
    """The model's version; made where the registry has none."""
    import mlflow

    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    for known in client.search_model_versions(f"name = '{name}'"):
        if known.tags.get(MODEL_HASH_TAG) == tags[MODEL_HASH_TAG]:
            client.update_model_version(name, known.version, why)
            return str(known.version)
    # A SQL store looks the model up by MLflow's global address, whatever the client's is.
    mlflow.set_tracking_uri(client.tracking_uri)
    made = client.create_model_version(
        name, logged.artifact_location, logged.source_run_id, tags, description=why, model_id=logged.model_id
    )
    return str(made.version)
