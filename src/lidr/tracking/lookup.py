"""Look-ups in MLflow: runs by their tags or id, and the scores of a pipeline's models.

    {"benchmark": "mgsm", "lang": "es", "id": "lab-3", "prompt": "Ana tiene ...", "m0": 0.0, "m1": 1.0, "m2": 1.0}

These rows of scores are the table that the stage `compare` logs, so they exist whichever stages DVC took from its
cache.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from lidr.errors import InputError, LidrError
from lidr.tracking import store
from lidr.tracking.describe import EXPERIMENT_TAG, PIPELINE_TAG
from lidr.tracking.run import PARENT_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# The table that `compare` logs for `read`.
SCORES = "scores.json"
_OLDEST_FIRST = "start_time ASC"


def runs_tagged(tags: Mapping[str, str]) -> list[Run]:
    """All runs with these tags, the oldest first; raises LidrError where there is no store to ask."""
    condition = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    with store.opened() as client:
        return store.search(client, condition, _OLDEST_FIRST)


def find_run(name: str) -> list[Run]:
    """A run and its children in their order, which a pipeline's run has.

    It is named by its id, or as the run of a registered model, by `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
    """
    with store.opened() as client:
        run = client.get_run(_run_id(client, name))
        children = store.search(client, f"tags.`{PARENT_TAG}` = '{run.info.run_id}'", _OLDEST_FIRST)
        return [run, *children]


def _run_id(client: MlflowClient, name: str) -> str:
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    if not name.startswith("models:"):
        return name
    found = get_model_name_and_version(client, name)
    # `models:/ID` names a logged model.
    made = client.get_model_version(*found).run_id if len(found) == 2 else client.get_logged_model(*found).source_run_id
    if not made:
        raise LidrError(f"{name}: this model has no run")
    return str(made)


# --- pipelines --------------------------------------------------------------------------------------------------------


# Pipelines that an error names.
_LISTED = 5


class Pipeline(Struct, frozen=True, kw_only=True):
    """A pipeline's parent run; `rows` are the items with a score, or None, for each model.

    `tags` are also those of the run of `compare`: the hashes of what it compared, and of the baseline's answers.
    """

    run_id: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    rows: list[dict[str, Any]]


def read(name: str) -> Pipeline:
    """The pipeline of that run id (or its beginning), run name or DVC experiment.

    Raises InputError where no pipeline has that name, or several have, and LidrError where MLflow does not answer.
    """
    with store.opened() as client:
        run = _find_pipeline(client, name)
        compare = _compare_run(client, run)
        return Pipeline(
            run_id=run.info.run_id,
            name=run.info.run_name or run.info.run_id,
            params=dict(run.data.params),
            tags=compare.data.tags | run.data.tags,
            rows=_rows(client, compare),
        )


def latest_curves() -> str | None:
    """The path in MLflow's pages to the curves of the latest compared pipeline; None without one.

    Raises LidrError where MLflow does not answer.
    """
    with store.opened() as client:
        run = next((run for run in _parents(client) if run.data.metrics), None)
        return f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/model-metrics" if run else None


def _parents(client: MlflowClient) -> list[Run]:
    """All pipelines, the newest first."""
    return store.search(client, f"tags.`{PIPELINE_TAG}` LIKE '%'", "start_time DESC")


def _find_pipeline(client: MlflowClient, name: str) -> Run:
    parents = _parents(client)
    named = [run for run in parents if name in (run.info.run_id, run.info.run_name, run.data.tags.get(EXPERIMENT_TAG))]
    found = named or [run for run in parents if name and run.info.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(run.info.run_id for run in found)
        raise InputError(f"{len(found)} pipelines in MLflow are called {name!r}; name one by its id: {ids}")
    there = ", ".join(f"{run.info.run_name} ({run.info.run_id[:8]})" for run in parents[:_LISTED])
    more = f" and {len(parents) - _LISTED} more" if len(parents) > _LISTED else ""
    expected = "a run's id or name is expected, or a DVC experiment's whose stages ran"
    raise InputError(f"no pipeline {name!r} in MLflow; {expected}; there are {there}{more}")


def _compare_run(client: MlflowClient, parent: Run) -> Run:
    """The latest run of `compare` that has the table of scores."""
    store.check_place(client.get_experiment(parent.info.experiment_id))
    condition = f"tags.`{PARENT_TAG}` = '{parent.info.run_id}' AND tags.`lidr.stage` = 'compare'"
    for run in client.search_runs([parent.info.experiment_id], condition, order_by=["start_time DESC"]):
        if any(artifact.path == SCORES for artifact in client.list_artifacts(run.info.run_id)):
            return run
    raise LidrError(f"{parent.info.run_name} ({parent.info.run_id}) has no comparison in MLflow: `compare` has not run")


def _rows(client: MlflowClient, compare: Run) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="lidr-scores-") as folder:
        path = Path(client.download_artifacts(compare.info.run_id, SCORES, folder))
        table = msgspec.json.decode(path.read_bytes(), type=dict[str, list])
    return [dict(zip(table["columns"], values, strict=True)) for values in table["data"]]
