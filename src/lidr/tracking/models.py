"""Logged models, found by the hash of their data, and the registry's versions of them.

    m2    LoggedModel(name="m2", tags={"dvc.md5": "1b2c....dir", "lidr.base": "3f1c9a04", ...}, type="adapter")

Training makes a logged model; evaluations of the same data attach their metrics to it, whichever pipeline trained it.
One that is evaluated where no training was logged, as after `dvc pull`, is made then, without files.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lidr.tracking.describe import MODEL_HASH_TAG, ModelData

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

UNKNOWN = "model"


def find(client: MlflowClient, experiments: list[str], digest: str) -> LoggedModel | None:
    """The first logged model with this data."""
    order = [{"field_name": "creation_timestamp", "ascending": True}, {"field_name": "name", "ascending": True}]
    found = client.search_logged_models(experiments, f"tags.`{MODEL_HASH_TAG}` = '{digest}'", order_by=order)
    return min(found, key=lambda model: (model.creation_timestamp, model.model_id), default=None)


def find_or_create(
    client: MlflowClient, experiment: str, model: ModelData, model_type: str, run_id: str | None
) -> LoggedModel:
    """The one logged model with this data; where two machines make it at once, the older one stays."""
    found = find(client, [experiment], model.digest)
    if found:
        return found
    made = client.create_logged_model(
        experiment, name=model.name, source_run_id=run_id, tags=model.tags, model_type=model_type
    )
    first = find(client, [experiment], model.digest)
    if first is None or first.model_id == made.model_id:
        return made
    client.delete_logged_model(made.model_id)
    return first


def complete(client: MlflowClient, model: LoggedModel, folder: Path | None) -> None:
    """Upload the model's files, if any, and call it ready; done twice it is the same."""
    from mlflow.entities import LoggedModelStatus

    if folder:
        client.log_model_artifacts(model.model_id, str(folder))
    if folder or model.status != LoggedModelStatus.READY:
        _describe(client, model)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _describe(client: MlflowClient, model: LoggedModel) -> None:
    """The file by which MLflow's pages know a model; without a flavour, as lidr loads it and MLflow does not."""
    from mlflow.models import Model
    from mlflow.models.model import MLMODEL_FILE_NAME

    about = Model(model_uuid=model.model_id, model_id=model.model_id, metadata=dict(model.tags))
    with tempfile.TemporaryDirectory() as folder:
        about.save(str(Path(folder) / MLMODEL_FILE_NAME))
        client.log_model_artifacts(model.model_id, folder)
