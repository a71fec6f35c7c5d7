"""The model registry: a registered model for each profile, and the alias that names its best version.

    >>> promote(settings, "m2", "MGSM accuracy: +12.3 points ...")
    Promoted(name='lidr-lab', version='1', alias='best', address='sqlite:////home/ada/lidr/mlflow.db')

A version is one logged model, found by the hash of its data; promoted a second time, it is the same version.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lidr import config, paths
from lidr.errors import LidrError
from lidr.tracking import connection, describe, models, store
from lidr.tracking.describe import MODEL_HASH_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

ALIAS = "best"


class Promoted(Struct, frozen=True, kw_only=True):
    """Where the model is in the registry now."""

    name: str
    version: str
    alias: str
    address: str


def promote(settings: config.Settings, model: str, why: str) -> Promoted:
    """Register models/<model> and give its version the alias; `why` is the version's description.

    Raises LidrError where MLflow does not answer, or does not know the model's data.
    """
    folder = paths.model(model)
    tags = describe.model_tags(folder)
    name = f"{settings.tracking.experiment}-{settings.profile}"
    address = store.address(store.project_root())
    with connection.opened() as client:
        logged = _logged_model(client, settings.tracking.experiment, tags[MODEL_HASH_TAG])
        if logged is None:
            raise LidrError(
                f"MLflow at {address} knows no model with the data of {folder} ({tags[MODEL_HASH_TAG]}): "
                "neither its training nor an evaluation of it was logged there"
            )
        if model != paths.BASE:
            _upload_what_is_missing(client, logged, folder)
        version = _version(client, name, logged, tags, why)
        client.set_registered_model_alias(name, ALIAS, version)
    return Promoted(name=name, version=version, alias=ALIAS, address=address)


def _logged_model(client: MlflowClient, experiment: str, digest: str) -> LoggedModel | None:
    """The project's own; else one of another experiment, as `mlflow run` may have been given."""
    found = client.search_experiments()
    own = [one.experiment_id for one in found if one.name == experiment]
    others = [one.experiment_id for one in found if one.name != experiment]
    return next((model for ids in (own, others) if ids and (model := models.find(client, ids, digest))), None)


def _upload_what_is_missing(client: MlflowClient, logged: LoggedModel, folder: Path) -> None:
    """A model that was evaluated here but trained elsewhere has no files in MLflow yet."""
    there = {Path(artifact.path).name for artifact in client.list_logged_model_artifacts(logged.model_id)}
    if any(file.name not in there for file in folder.iterdir()):
        models.complete(client, logged, folder)


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
