"""Logged models, found by the hash of their data, and the registry's versions of them.

    m2    LoggedModel(name="m2", tags={"dvc.md5": "1b2c....dir", "lidr.base": "3f1c9a04", ...}, type="adapter")

Training makes a logged model; evaluations of the same data attach their metrics to it, whichever pipeline trained it.
One that is evaluated where no training was logged, as after `dvc pull`, is made then, without files. In the registry
each profile has a registered model, whose versions are logged models; promoted a second time, it is the same version.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lidr import config, paths
from lidr.errors import LidrError
from lidr.tracking import store
from lidr.tracking.describe import MODEL_HASH_TAG, model_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

ALIAS = "best"


def find(client: MlflowClient, experiments: Sequence[str], digest: str) -> LoggedModel | None:
    """The first logged model with this data."""
    found = client.search_logged_models(list(experiments), f"tags.`{MODEL_HASH_TAG}` = '{digest}'")
    return min(found, key=lambda model: (model.creation_timestamp, model.model_id), default=None)


def find_or_create(
    client: MlflowClient, experiment: str, folder: Path, model_type: str, run_id: str | None
) -> LoggedModel:
    """The one logged model with this folder's data; where two machines make it at once, the older one stays."""
    tags = model_tags(folder)
    found = find(client, [experiment], tags[MODEL_HASH_TAG])
    if found:
        return found
    made = client.create_logged_model(
        experiment, name=folder.name, source_run_id=run_id, tags=tags, model_type=model_type
    )
    first = find(client, [experiment], tags[MODEL_HASH_TAG])
    if first is None or first.model_id == made.model_id:
        return made
    client.delete_logged_model(made.model_id)
    return first


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


class Promoted(Struct, frozen=True, kw_only=True):
    """The promoted model's place in the registry."""

    name: str
    version: str
    alias: str
    address: str


def promote(settings: config.Settings, model: str, why: str) -> Promoted:
    """Register models/<model> and give its version the alias; `why` is the version's description.

    Raises LidrError where MLflow does not answer, or does not know the model's data.
    """
    folder = paths.model(model)
    tags = model_tags(folder)
    name = f"{settings.tracking.experiment}-{settings.profile}"
    with store.opened() as client:
        logged = _logged_model(client, settings.tracking.experiment, tags[MODEL_HASH_TAG])
        if logged is None:
            raise LidrError(
                f"MLflow at {store.address()} knows no model with the data of {folder} ({tags[MODEL_HASH_TAG]}): "
                "neither its training nor an evaluation of it was logged there"
            )
        _upload_what_is_missing(client, logged, folder)
        version = _version(client, name, logged, tags, why)
        client.set_registered_model_alias(name, ALIAS, version)
    return Promoted(name=name, version=version, alias=ALIAS, address=store.address())


def _logged_model(client: MlflowClient, experiment: str, digest: str) -> LoggedModel | None:
    """The project's own; else one of another experiment, as `mlflow run` may have been given."""
    found = client.search_experiments()
    own = [one.experiment_id for one in found if one.name == experiment]
    others = [one.experiment_id for one in found if one.name != experiment]
    return next((model for ids in (own, others) if ids and (model := find(client, ids, digest))), None)


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
