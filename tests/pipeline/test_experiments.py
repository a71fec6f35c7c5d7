"""DVC experiments, in the workspace and from the queue: each has its own parent run in the project's store."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from small_pipeline import run, store

from lidr import config

pytestmark = pytest.mark.pipeline


def test_each_experiment_has_its_own_parent_with_the_whole_curve(experiments: Path) -> None:
    runs = store(experiments)
    parents = {run.data.tags["dvc.experiment"]: run for run in runs.experiments()}
    settings = {
        name: (run.data.params.get("iterations.m2.train.dpo.beta"), run.data.params["profile"])
        for name, run in parents.items()
    }
    assert settings == {"higher": ("0.2", "lab"), "queued": (None, "queued")}
    for parent in parents.values():
        assert sorted(dict(runs.history(parent.info.run_id, "mgsm accuracy/es"))) == [0, 1, 2]
        assert parent.info.status == "FINISHED"


def test_stages_from_the_cache_leave_no_run(experiments: Path) -> None:
    runs = store(experiments)
    names = {
        parent.data.tags["dvc.experiment"]: sorted(child.info.run_name for child in runs.children(parent))
        for parent in runs.experiments()
    }
    assert {"train m2 · beta 0.2", "mgsm m2", "compare"} <= set(names["higher"])
    assert not {"base m0", "prompts m1", "generate m2", "mgsm m1"} & set(names["higher"])
    assert names["queued"] == ["compare"]


def test_show_lists_them_with_their_values(experiments: Path) -> None:
    shown = csv.DictReader(run("dvc", "exp", "show", "--csv", cwd=experiments).splitlines())
    found = {row["Experiment"]: row for row in shown if row["Experiment"]}
    assert {name: row["profile"] for name, row in found.items()} == {"higher": "lab", "queued": "queued"}
    assert found["higher"]["iterations.m2.train.dpo.beta"] == "0.2"


def test_apply_brings_an_experiment_back(experiments: Path) -> None:
    run("dvc", "exp", "apply", "higher", cwd=experiments)
    assert config.load(experiments / "params.yaml").of_iteration("m2").train.dpo["beta"] == 0.2
    assert "Data and pipelines are up to date" in run("dvc", "status", cwd=experiments)
    measured = json.loads((experiments / "reports/compare/metrics.json").read_text())
    runs = store(experiments)
    (parent,) = [one for one in runs.experiments() if one.data.tags["dvc.experiment"] == "higher"]
    assert dict(runs.history(parent.info.run_id, "mgsm accuracy/es"))[2] == measured["m2"]["mgsm"]["es"]["accuracy"]


def test_two_experiments_compare_from_mlflow_alone(experiments: Path) -> None:
    said = run("lidr", "compare", "--runs", "queued", "higher", cwd=experiments)
    assert "   profile  queued | lab\n" in said
    assert "   iterations.m2.train.dpo.beta  " in said
    assert "B - A at m2" in said
