"""Logged models, found by the hash of their data, and the registry's versions of them.

    m2    LoggedModel(name="m2", tags={"dvc.md5": "1b2c....dir", "lidr.base": "3f1c9a04", ...}, type="adapter")

Training makes a logged model; evaluations of the same data attach their metrics to it, whichever pipeline trained it.
One that is evaluated where no training was logged, as after `dvc pull`, is made then, without files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lidr.tracking.describe import MODEL_HASH_TAG, model_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel


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
    """Upload the model's files, if any, and call it ready; done twice it is the same."""
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
