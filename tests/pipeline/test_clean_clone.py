"""The pipeline as its users run it: from clean clones, through DVC and MLflow, on a smaller version of the default.

One clone is reproduced, rerun, changed and extended; a second one must end with the same dvc.lock, adapters included.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from clones import clone, run

from lidr import config

pytestmark = pytest.mark.pipeline

SMALLER = {"per_iteration: 400": "per_iteration: 24", "items: 250": "items: 20", "resamples: 2000": "resamples: 200"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone in which `dvc repro` has run once."""
    folder = clone(tmp_path_factory.mktemp("first") / "lidr", SMALLER)
    run("dvc", "repro", "--quiet", cwd=folder)
    (folder / ".git" / "first.lock").write_bytes((folder / "dvc.lock").read_bytes())
    return folder


def test_every_stage_ran_and_left_its_outputs(project: Path) -> None:
    lock = (project / "dvc.lock").read_text()
    settings = config.load(project / "params.yaml")
    for stage in ("prompts", "generate", "translate", "pairs", "train", "audit"):
        assert all(f"{stage}@{iteration}:" in lock for iteration in settings.iterations)
    for stage in ("mgsm", "alpaca"):
        assert all(f"{stage}@{model}:" in lock for model in settings.models)
    comparison = json.loads((project / "reports/compare/metrics.json").read_text())
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
    script = """
import json, mlflow
client = mlflow.MlflowClient("sqlite:///mlflow.db")
[experiment] = [e for e in client.search_experiments() if e.name == "lidr"]
runs = client.search_runs([experiment.experiment_id], max_results=1000)
parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
children = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
keys = [k for k in parents[0].data.metrics if k.endswith("/es")]
history = {k: [(m.step, m.value) for m in client.get_metric_history(parents[0].info.run_id, k)] for k in keys}
print(json.dumps({"parents": len(parents), "children": sorted(r.info.run_name for r in children),
                  "status": sorted({r.info.status for r in runs}), "history": history}))
"""
    found = json.loads(run(sys.executable, "-c", script, cwd=project).strip().splitlines()[-1])
    assert found["parents"] == 1
    assert len(found["children"]) == 1 + 2 * 6 + 3 + 1 + 3 + 1
    assert any(name.startswith("train m2") for name in found["children"])
    assert found["history"], "the parent carries the headline metrics"
    assert all(sorted(step for step, _ in points) == [0, 1, 2] for points in found["history"].values())


def test_dvc_shows_metrics_params_and_plots(project: Path) -> None:
    metrics = json.loads(run("dvc", "metrics", "show", "--json", cwd=project).splitlines()[-1])
    assert any("reports/mgsm/m2/metrics.json" in str(files) for files in metrics.values())
    assert "train.beta" in run("dvc", "params", "diff", "--all", cwd=project)
    plots = run("dvc", "plots", "show", "--json", cwd=project)
    assert "reports/compare/mgsm" in plots


def test_an_experiment_with_another_value_reruns_from_there(project: Path) -> None:
    output = run("dvc", "exp", "run", "-S", "train.beta=0.2", cwd=project)
    assert "Stage 'generate@m1' didn't change, skipping" in output
    assert "Running stage 'train@m1'" in output
    difference = run("dvc", "metrics", "diff", "HEAD", cwd=project)
    assert "reports/" in difference
    run("git", "checkout", "--quiet", "--", ".", cwd=project)


def test_a_second_clone_ends_with_the_same_bytes(project: Path, tmp_path: Path) -> None:
    second = clone(tmp_path / "lidr", SMALLER)
    run("dvc", "repro", "--quiet", cwd=second)
    assert (second / "dvc.lock").read_text() == (project / ".git" / "first.lock").read_text()
