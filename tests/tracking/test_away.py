"""MLflow becomes unavailable, or the sync is killed, at any call: the next sync completes the run exactly once."""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tracking_project import Project, job

from lidr import config
from lidr.errors import LidrError
from lidr.tracking import Job, StageRun

# Indices of a sync's calls to MLflow; `make chaos` tries all.
EVERY = int(os.environ.get("LIDR_CHAOS_EVERY", "9"))
ITEMS = [{"id": "i-1", "lang": "es", "prompt": "?", "gold": "1"}]
ROWS = '{"id":"a","lang":"es"}\n{"id":"b","lang":"en"}\n'


class Flaky:
    """MLflow's client, whose calls fail from the n-th on; its calls to itself are not counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from mlflow import MlflowClient

        self.made, self.last = 0, 0
        self._inside = False
        for name, function in list(vars(MlflowClient).items()):
            if callable(function) and not name.startswith("_"):
                monkeypatch.setattr(MlflowClient, name, self._failing(function))

    def goes_away_before(self, call: int | None) -> None:
        self.made, self.last = 0, call or 10**9

    def _failing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return original(*args, **kwargs)
            self.made += 1
            if self.made >= self.last:
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            self._inside = True
            try:
                return original(*args, **kwargs)
            finally:
                self._inside = False

        return call


def _stage(project: Project, experiment: str) -> Job:
    """A stage with one output of each kind, in a new experiment, so that all is created."""
    pairs = project.file("data/m1/pairs/pairs.jsonl", ROWS)
    project.file("models/m1/lidr.json", '{"base": "3f1c", "reference": "9a04", "pairs": "b7d2"}')
    adapter = project.file("models/m1/adapter_model.safetensors", "weights").parent
    tracking = config.Tracking(experiment=experiment, system_metrics=False)
    project.settings = msgspec.structs.replace(project.settings, tracking=tracking)

    def log_to(run: StageRun) -> None:
        run.use_dataset(pairs, "pairs m1", "training", {"es": 1, "en": 1})
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_metrics({"loss": 0.5}, step=2)
        run.log_to_parent({"accuracy/es": 0.5}, step=1)
        run.log_model(adapter, "adapter", upload=True)
        run.log_evaluation({"accuracy/es": 0.5}, adapter, "mgsm lab", "lab", ITEMS)
        run.log_artifact(pairs)
        run.log_table(pairs, "pairs.json")

    return job("train", "m1", [pairs.parent], [adapter], log_to)


def _check_all_is_there_once(project: Project, experiment: str) -> None:
    client = project.client
    place = client.get_experiment_by_name(experiment).experiment_id
    runs = client.search_runs([place])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    (child,) = [run for run in runs if run is not parent]
    child = client.get_run(child.info.run_id)  # a search omits the models that a run used and made
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert project.history(child.info.run_id, "loss") == [(1, 1.0), (2, 0.5)]
    assert project.history(child.info.run_id, "accuracy/es") == [(1, 0.5)]
    assert project.history(parent.info.run_id, "accuracy/es") == [(1, 0.5)]
    assert sorted(used.dataset.name for used in child.inputs.dataset_inputs) == ["mgsm lab", "pairs m1"]
    (model,) = client.search_logged_models([place])
    assert [used.model_id for used in child.inputs.model_inputs] == [model.model_id]
    assert [made.model_id for made in child.outputs.model_outputs] == [model.model_id]
    assert [(metric.key, metric.value) for metric in model.metrics] == [("accuracy/es", 0.5)]
    assert model.status.name == "READY"
    files = Path(child.info.artifact_uri)
    assert (files / "pairs.jsonl").read_text() == ROWS
    assert json.loads((files / "pairs.json").read_text())["data"] == [["a", "es"], ["b", "en"]]


@pytest.mark.fault
def test_mlflow_goes_away_at_a_call_and_then_takes_all_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = Flaky(monkeypatch)
    for call in itertools.count(1, EVERY):
        experiment = f"away at {call}"
        stage = _stage(project, experiment)
        mlflow.goes_away_before(call)
        error = None
        try:
            project.log(stage)
        except LidrError as raised:
            error = str(raised)
        reached = mlflow.made >= call
        mlflow.goes_away_before(None)
        assert (error is not None) == reached
        if error:
            assert error.startswith("MLflow at sqlite:///") and error.endswith("all runs: Connection refused")
            assert project.log(stage) == ["train m1 · beta 0.1"]
        _check_all_is_there_once(project, experiment)
        if not reached:
            break
    assert project.log(stage) == []
    assert call > 20, "a sync asks MLflow more often"
