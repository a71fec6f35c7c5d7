"""The pipeline as its users run it: from clean clones, through DVC and MLflow, on a smaller version of the default.

One clone is reproduced, rerun, changed and extended; a second one must end with the same dvc.lock, adapters included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lidr import config

pytestmark = pytest.mark.pipeline

ROOT = Path(__file__).resolve().parents[2]
SMALLER = {"per_iteration: 400": "per_iteration: 24", "items: 250": "items: 20", "resamples: 2000": "resamples: 200"}


def run(*command: str, cwd: Path) -> str:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MLFLOW_TRACKING_URI", "LIDR_TRACKING")
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["DVC_NO_ANALYTICS"] = "1"
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def clone(folder: Path) -> Path:
    """A clone of the work tree's state, committed or not, with the smaller settings committed."""
    run("git", "clone", "--quiet", str(ROOT), str(folder), cwd=ROOT)
    changed = run("git", "ls-files", "--modified", "--others", "--exclude-standard", cwd=ROOT).split("\n")
    for name in filter(None, changed):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes()) if source.exists() else target.unlink(missing_ok=True)
    # What an earlier run left in git would only be in the way of seeing this one.
    run("git", "rm", "-rq", "--cached", "--ignore-unmatch", "dvc.lock", "reports", cwd=folder)
    (folder / "dvc.lock").unlink(missing_ok=True)
    for text in SMALLER.items():
        for name in ("params.yaml", "profiles/lab.yaml"):
            path = folder / name
            assert text[0] in path.read_text("utf-8"), f"{name} has no {text[0]!r}"
            path.write_text(path.read_text("utf-8").replace(*text), "utf-8")
    run("git", "add", "--all", cwd=folder)
    run("git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid", "commit", "-qm", "Smaller", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone in which `dvc repro` has run once."""
    folder = clone(tmp_path_factory.mktemp("first") / "lidr")
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
    assert any("reports/compare/metrics.json" in str(files) for files in metrics.values())


def declared(kind: str) -> list[str]:
    """The files that the stage `compare` declares as metrics or plots."""
    compare = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]["compare"]
    return [name for entry in compare[kind] for name in entry]


def test_dvc_shows_the_numbers_of_compare(project: Path) -> None:
    for name in [*declared("metrics"), *declared("plots")]:
        assert (project / name).is_file(), name
    figures = json.loads((project / "reports/compare/metrics.json").read_text())
    output = json.loads(run("dvc", "metrics", "show", "--json", "reports/compare/metrics.json", cwd=project))
    [files] = [revision["data"] for revision in output.values()]
    assert files["reports/compare/metrics.json"]["data"] == figures
    for benchmark, measure in (("mgsm", "accuracy"), ("alpaca", "win_rate")):
        name = f"reports/compare/{benchmark}.csv"
        plots = json.loads(run("dvc", "plots", "show", "--json", name, cwd=project))["data"]
        rows = [row for plot in plots[name] for row in plot["content"]["data"]["values"]]
        shown = {(row["model"], row["language"]): float(row["value"]) for row in rows}
        assert shown == {
            (model, lang): by[benchmark][lang][measure]
            for model, by in figures.items()
            for lang in by[benchmark]
            if lang not in ("average", "trained", "transfer")
        }
    assert "reports/compare/mgsm.csv" in json.loads(run("dvc", "plots", "diff", "--json", "HEAD", cwd=project))["data"]


def test_an_experiment_with_another_value_reruns_from_there(project: Path) -> None:
    output = run("dvc", "exp", "run", "-S", "train.beta=0.2", cwd=project)
    assert "Stage 'generate@m1' didn't change, skipping" in output
    assert "Running stage 'train@m1'" in output
    difference = run("dvc", "metrics", "diff", "HEAD", cwd=project)
    assert "reports/" in difference
    run("git", "checkout", "--quiet", "--", ".", cwd=project)


def test_a_second_clone_ends_with_the_same_bytes(project: Path, tmp_path: Path) -> None:
    second = clone(tmp_path / "lidr")
    run("dvc", "repro", "--quiet", cwd=second)
    assert (second / "dvc.lock").read_text() == (project / ".git" / "first.lock").read_text()
