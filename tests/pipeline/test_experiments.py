"""DVC's experiments, in the workspace and from the queue: each leaves its own parent run in the project's store."""

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
    assert len(parents) == 3
    beta = config.load(experiments / "profiles" / "lab.yaml").train.dpo["beta"]
    settings = {
        (float(r.data.params["train.dpo.beta"]), int(r.data.params["compare.resamples"])) for r in parents.values()
    }
    assert settings == {(0.2, 200), (beta, 150), (beta, 250)}
    for parent in parents.values():
        assert sorted(runs.history(parent, "mgsm accuracy/es")) == [0, 1, 2]
        assert parent.info.status == "FINISHED"


def test_stages_from_the_cache_leave_no_run(experiments: Path) -> None:
    runs = store(experiments)
    names = {
        parent.data.tags["dvc.experiment"]: sorted(child.info.run_name for child in runs.children(parent))
        for parent in runs.experiments()
    }
    higher = names.pop("higher")
    assert {"train m1 · beta 0.2", "train m2 · beta 0.2", "generate m2", "mgsm m2", "compare"} <= set(higher)
    assert not {"base m0", "prompts m1", "generate m1", "mgsm m0"} & set(higher)
    for others in names.values():
        # An evaluation whose figures are the same bytes is no other result.
        assert {"alpaca m2", "compare"} <= set(others) <= {"alpaca m0", "alpaca m1", "alpaca m2", "compare"}


def test_show_lists_them_with_their_values(experiments: Path) -> None:
    shown = csv.DictReader(run("dvc", "exp", "show", "--csv", cwd=experiments).splitlines())
    found = {row["Experiment"]: row for row in shown if row["Experiment"]}
    assert len(found) == 3
    assert found["higher"]["train.dpo.beta"] == "0.2"
    assert {row["compare.resamples"] for row in found.values()} == {"150", "200", "250"}


def test_apply_brings_an_experiment_back(experiments: Path) -> None:
    run("dvc", "exp", "apply", "higher", cwd=experiments)
    assert config.load(experiments / "params.yaml").train.dpo["beta"] == 0.2
    assert "Data and pipelines are up to date" in run("dvc", "status", cwd=experiments)
    measured = json.loads((experiments / "reports/compare/metrics.json").read_text())
    runs = store(experiments)
    (parent,) = [one for one in runs.experiments() if one.data.tags["dvc.experiment"] == "higher"]
    assert runs.history(parent, "mgsm accuracy/es")[2] == measured["m2"]["mgsm"]["es"]["accuracy"]


def test_two_experiments_compare_from_mlflow_alone(experiments: Path) -> None:
    other = next(
        one.data.tags["dvc.experiment"]
        for one in store(experiments).experiments()
        if one.data.params["compare.resamples"] == "150"
    )
    said = run("lidr", "compare", "--runs", other, "higher", cwd=experiments)
    assert "   compare.resamples  150 | 200\n" in said
    assert "   train.dpo.beta  " in said
    assert "B - A at m2" in said
