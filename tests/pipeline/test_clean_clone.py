"""What a run of all stages leaves in a clean clone, for DVC and in MLflow, on a smaller version of the default.

test_kills.py runs most kinds of stages again by `dvc repro`, which must give the same entries of dvc.lock;
test_experiments.py the others, under other settings.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import small_pipeline
from factories import ROOT
from ruamel.yaml import YAML
from small_pipeline import run, store

from lidr import config

pytestmark = pytest.mark.pipeline

COMPARED = "reports/compare/metrics.json"


@pytest.fixture(scope="module")
def project(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which all stages have run once."""
    return Path(shutil.copytree(reproduced, tmp_path_factory.mktemp("clone") / "lidr", symlinks=True))


def test_every_stage_ran_and_left_its_outputs(project: Path) -> None:
    lock = (project / "dvc.lock").read_text()
    settings = config.load(project / "params.yaml")
    for stage in ("prompts", "generate", "score", "translate", "pairs", "train", "audit"):
        assert all(f"{stage}@{iteration}:" in lock for iteration in settings.iterations)
    for stage in ("mgsm", "alpaca", "harness"):
        assert all(f"{stage}@{model}:" in lock for model in settings.models)
    comparison = json.loads((project / COMPARED).read_text())
    assert set(settings.models) <= set(comparison)
    assert (project / "reports/compare/index.html").exists()


def test_pairs_and_drops_are_all_directions_of_all_prompts(project: Path) -> None:
    for iteration in ("m1", "m2"):
        folder = project / "data" / iteration / "pairs"
        rows = sum(len((folder / name).read_text().splitlines()) for name in ("pairs.jsonl", "drops.jsonl"))
        assert rows == 24 * 2 * 4


def test_a_second_repro_does_nothing(project: Path) -> None:
    before = (project / "dvc.lock").read_bytes()
    output = run("dvc", "repro", cwd=project)
    assert "Data and pipelines are up to date" in output
    assert (project / "dvc.lock").read_bytes() == before


def test_nothing_tracked_holds_a_path_of_this_machine_or_a_run_id(project: Path) -> None:
    for path in [*(project / "reports").rglob("*"), *(project / "models/m1").rglob("*"), project / "dvc.lock"]:
        if path.is_file():
            assert str(project).encode() not in path.read_bytes(), path


def test_mlflow_has_one_parent_with_a_child_for_each_stage_and_the_curve(project: Path) -> None:
    runs = store(project)
    (parent,) = runs.parents()
    children = runs.children(parent)
    assert len(children) == 1 + 2 * 7 + 3 + 1 + 3 + 3 + 1
    assert any(child.info.run_name.startswith("train m2") for child in children)
    assert all(run.info.status == "FINISHED" for run in (parent, *children))
    names = [name for name in parent.data.metrics if name.endswith("/es")]
    assert {"mgsm accuracy/es", "alpaca win rate/es", "off target/es"} <= set(names)
    assert all(sorted(dict(runs.history(parent.info.run_id, name))) == [0, 1, 2] for name in names)
    assert parent.data.tags["mlflow.note.content"].startswith("# What m2 does better than m0")
    (compare,) = [child for child in children if child.info.run_name == "compare"]
    assert sorted(dict(runs.history(compare.info.run_id, "mgsm change p/es"))) == [1, 2]


def test_mlflow_has_the_speed_of_training_and_every_model(project: Path) -> None:
    runs = store(project)
    (train,) = [run for run in runs.runs() if run.info.run_name.startswith("train m1")]
    speeds = ("pairs_per_second", "tokens_per_second", "peak_memory_mib")
    assert all(train.data.metrics[name] > 0 for name in speeds)
    assert "tokens_per_second" not in (project / "models/m1/log.csv").read_text()
    models = runs.client.search_logged_models([train.info.experiment_id])
    assert sorted(model.name for model in models) == ["m0", "m1", "m2"]
    assert all("accuracy/es" in {metric.key for metric in model.metrics} for model in models)


def declared(kind: str) -> list[str]:
    """The files that the stage `compare` declares as metrics or plots."""
    compare = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]["compare"]
    return [name for entry in compare[kind] for name in entry]


def test_dvc_shows_metrics_params_and_plots(project: Path) -> None:
    for name in [*declared("metrics"), *declared("plots")]:
        assert (project / name).is_file(), name
    figures = json.loads((project / COMPARED).read_text())
    [revision] = json.loads(run("dvc", "metrics", "show", "--json", cwd=project).splitlines()[-1]).values()
    assert revision["data"][COMPARED]["data"] == figures
    assert "reports/mgsm/m2/metrics.json" in revision["data"]
    assert "train.dpo.beta" in run("dvc", "params", "diff", "--all", cwd=project)
    name = "reports/compare/mgsm.csv"
    plots = json.loads(run("dvc", "plots", "diff", "--json", "HEAD", cwd=project))["data"]
    rows = [row for plot in plots[name] for row in plot["content"]["data"]["values"] if row["rev"] == "workspace"]
    shown = {(row["model"], row["language"]): float(row["value"]) for row in rows}
    assert shown == {
        (model, lang): by["mgsm"][lang]["accuracy"]
        for model, by in figures.items()
        for lang in by["mgsm"]
        if lang not in ("average", "trained", "transfer")
    }


def test_promote_takes_a_gain_or_a_word(reproduced: Path, tmp_path: Path) -> None:
    """So small a run may show a gain or not: `--anyway` promotes the model in both cases."""
    project = small_pipeline.copy(reproduced, tmp_path / "lidr")
    said = run("lidr", "promote", "m2", "--anyway", cwd=project)
    assert "MGSM accuracy: " in said and "m2 is lidr-lab version 1, alias best" in said
    version = store(project).client.get_model_version_by_alias("lidr-lab", "best")
    assert version.tags["lidr.model"] == "m2"
