"""MLflow's runs of a pipeline and of two DVC experiments on it, one in the workspace, one from the queue."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from small_pipeline import ALL_STAGES, lidr, run, store

from lidr import config

pytestmark = pytest.mark.pipeline


def test_one_parent_has_a_child_for_each_stage_and_the_curve(experiments: Path) -> None:
    runs = store(experiments)
    (parent,) = [run for run in runs.parents() if "dvc.experiment" not in run.data.tags]
    children = runs.children(parent)
    assert len(children) == ALL_STAGES
    assert any(child.info.run_name.startswith("train m2") for child in children)
    assert all(run.info.status == "FINISHED" for run in (parent, *children))
    names = [name for name in parent.data.metrics if name.endswith("/es")]
    assert {"mgsm accuracy/es", "alpaca win rate/es", "off target/es"} <= set(names)
    assert all(sorted(dict(runs.history(parent.info.run_id, name))) == [0, 1, 2] for name in names)
    assert parent.data.tags["mlflow.note.content"].startswith("# What m2 does better than m0")
    (compare,) = [child for child in children if child.info.run_name == "compare"]
    assert sorted(dict(runs.history(compare.info.run_id, "mgsm change p/es"))) == [1, 2]


def test_mlflow_has_the_speed_of_training_and_every_model(experiments: Path) -> None:
    runs = store(experiments)
    (train,) = [run for run in runs.runs() if run.info.run_name == "train m2 · beta 0.2"]
    speeds = ("pairs_per_second", "tokens_per_second", "peak_memory_mib")
    assert all(train.data.metrics[name] > 0 for name in speeds)
    assert "tokens_per_second" not in (experiments / "models/m2/log.csv").read_text()
    models = runs.client.search_logged_models([train.info.experiment_id])
    assert sorted(model.name for model in models) == ["m0", "m1", "m2", "m2"], "m2 is there with each beta"
    assert all("accuracy/es" in {metric.key for metric in model.metrics} for model in models)


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
    # Pages name the profile.
    assert names["queued"] == ["audit m1", "audit m2", "compare"]


def test_show_lists_them_with_their_values(experiments: Path) -> None:
    shown = csv.DictReader(run("dvc", "exp", "show", "--csv", cwd=experiments).splitlines())
    found = {row["Experiment"]: row for row in shown if row["Experiment"]}
    assert {name: row["profile"] for name, row in found.items()} == {"higher": "lab", "queued": "queued"}
    assert found["higher"]["iterations.m2.train.dpo.beta"] == "0.2"


def test_apply_brings_an_experiment_back(experiments: Path) -> None:
    """The experiment from the queue, while the other one's results are in the workspace."""
    before = (experiments / "models/m2/adapter_model.safetensors").read_bytes()
    run("dvc", "exp", "apply", "queued", cwd=experiments)
    settings = config.load(experiments / "params.yaml")
    assert (settings.profile, settings.of_iteration("m2").train.dpo["beta"]) == ("queued", 0.02)
    assert (experiments / "models/m2/adapter_model.safetensors").read_bytes() != before
    assert "Data and pipelines are up to date" in run("dvc", "status", cwd=experiments)
    measured = json.loads((experiments / "reports/compare/metrics.json").read_text())
    runs = store(experiments)
    (parent,) = [one for one in runs.experiments() if one.data.tags["dvc.experiment"] == "queued"]
    assert dict(runs.history(parent.info.run_id, "mgsm accuracy/es"))[2] == measured["m2"]["mgsm"]["es"]["accuracy"]


def test_two_experiments_compare_from_mlflow_alone(experiments: Path) -> None:
    said = lidr(experiments, "compare", "--runs", "queued", "higher")
    assert "   profile  queued | lab\n" in said
    assert "   iterations.m2.train.dpo.beta  " in said
    assert "B - A at m2" in said


def test_promote_takes_a_gain_or_a_word(experiments: Path) -> None:
    """So small a run may show a gain or not: `--anyway` promotes the model in both cases."""
    name = f"lidr-{config.load(experiments / 'params.yaml').profile}"
    said = lidr(experiments, "promote", "m2", "--anyway")
    assert "MGSM accuracy: " in said and f"m2 is {name} version 1, alias best" in said
    version = store(experiments).client.get_model_version_by_alias(name, "best")
    assert version.tags["lidr.model"] == "m2"
