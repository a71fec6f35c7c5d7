"""Where runs go, also from the folders in which DVC runs experiments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracking_project import ROOT, Project

from lidr.tracking import store


def test_root_is_the_project_that_owns_an_experiments_folder(tmp_path: Path) -> None:
    assert store.project_root(tmp_path) == tmp_path
    assert store.project_root(tmp_path / ".dvc/tmp/exps/tmp1x/") == tmp_path
    assert store.project_root(tmp_path / ".dvc/tmp/exps/standalone/tmp1x/sub") == tmp_path


def test_uri_is_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path("/home/ada/lidr")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store.tracking_uri(root) == "sqlite:////home/ada/lidr/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert store.tracking_uri(root) == "sqlite:////home/ada/lidr/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////else/where.db")
    assert store.tracking_uri(root) == "sqlite:////else/where.db"


def test_passwords_are_not_shown() -> None:
    text = "cannot reach postgresql://ada:secret@db:5432/mlflow, nor http://token@host"
    assert store.without_secrets(text) == "cannot reach postgresql://***@db:5432/mlflow, nor http://***@host"


def test_dvc_experiments_in_temporary_folders_reach_the_projects_store(project: Project) -> None:
    """A real `dvc exp run --temp`: its folder is gone afterwards, its run is not."""
    project.file(
        "stage.py",
        "from pathlib import Path\n"
        "from lidr import config\n"
        "from lidr.tracking import stage_run\n"
        "out = Path('out.txt')\n"
        "with stage_run(config.load(), 'prompts', 'm1', [Path('params.yaml')], [out], publish='later') as run:\n"
        "    out.write_text('x')\n"
        "    run.log_artifact(out)\n",
    )
    project.file(
        "dvc.yaml",
        f"stages:\n  one:\n    cmd: {sys.executable} stage.py\n    outs: [out.txt]\n    params: [train.beta]\n",
    )
    project.file(".gitignore", "/.lidr/\n/mlflow.db\n/out.txt\n")
    identity = {f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "PYTHONPATH": str(ROOT / "src")}
    for command in (
        ["git", "init", "-q"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", "commit", "-q", "-m", "first"],
        [sys.executable, "-m", "dvc", "exp", "run", "-q", "--temp", "-n", "lower", "-S", "train.beta=0.05"],
    ):
        subprocess.run(command, check=True, env=environment)
    from lidr.tracking import publish_pending

    report = publish_pending()
    assert report.published == ("prompts m1",), report
    (child,), (parent,) = project.children(), project.parents()
    assert child.data.tags["dvc.experiment"] == "lower"
    assert parent.data.params["train.beta"] == "0.05"
    assert [artifact.path for artifact in project.client.list_artifacts(child.info.run_id)] == ["out.txt"]
    assert child.info.artifact_uri.startswith(str(project.root / "mlartifacts"))
