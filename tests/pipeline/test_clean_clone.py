"""What a run of all stages leaves in a clean clone, on a smaller version of the default.

Its stages run in one process. `dvc repro` runs some of them again in test_kills.py (`prompts`, `generate`, `score`,
`translate`, `pairs`, `audit`), which must give the same bytes, and others under other settings in test_experiments.py.
Only `make chaos` has it run `base` and `baseline`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from factories import ROOT
from ruamel.yaml import YAML
from small_pipeline import run

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
        assert rows == 24 * 2 * 2


def test_a_second_repro_does_nothing(project: Path) -> None:
    before = (project / "dvc.lock").read_bytes()
    output = run("dvc", "repro", cwd=project)
    assert "Data and pipelines are up to date" in output
    assert (project / "dvc.lock").read_bytes() == before


def test_nothing_tracked_holds_a_path_of_this_machine_or_a_run_id(project: Path) -> None:
    for path in [*(project / "reports").rglob("*"), *(project / "models/m1").rglob("*"), project / "dvc.lock"]:
        if path.is_file():
            assert str(project).encode() not in path.read_bytes(), path


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
