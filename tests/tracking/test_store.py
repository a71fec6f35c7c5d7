"""The store of runs, also from the folders of DVC's experiments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracking_project import ROOT, Project, job

from lidr.tracking import store, sync


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


def test_uri_of_a_folder_with_signs_that_mean_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    plain, odd = Path("/home/ada ü#1/lidr"), Path("/home/wh?at 100%20#/lidr")
    assert store.tracking_uri(plain) == "sqlite:////home/ada ü#1/lidr/mlflow.db"
    assert store.tracking_uri(odd) == "sqlite+pysqlite:////home/wh%3Fat%20100%2520%23/lidr/mlflow.db"
    for root in (plain, odd):
        assert store.local_file(store.tracking_uri(root)) == root / "mlflow.db"
    assert store.local_file("sqlite:////a%20b/c.db?timeout=5") == Path("/a b/c.db")
    assert store.local_file("http://localhost:5000") is None


@pytest.mark.parametrize("name", ["wh?at 100%20 #ü%", "a b ü#c"])
def test_runs_reach_the_store_of_a_folder_with_signs_that_mean_something(
    project: Project, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lidr import config

    root = project.root.parent / "odd" / name
    root.parent.mkdir()
    project.root.rename(root)
    monkeypatch.chdir(root)
    out = project.file("out.txt", "x")
    prompts = job("prompts", "m1", [], [out], lambda run: run.log_artifact(out))
    assert sync(config.load(), [prompts]) == ["prompts m1"]
    with store.opened() as client:
        (run_of_stage,) = (r for r in store.search(client, "", "start_time ASC") if r.info.run_name == "prompts m1")
        assert [artifact.path for artifact in client.list_artifacts(run_of_stage.info.run_id)] == ["out.txt"]
    assert (root / "mlartifacts" / run_of_stage.info.run_id / "artifacts/out.txt").read_text() == "x"
    assert [folder.name for folder in root.parent.iterdir()] == [name]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "neither postgresql://ada:sekret@db:5432/x, nor http://token@h",
            "neither postgresql://***@db:5432/x, nor http://***@h",
        ),
        ("postgresql://ada:sek/r@et@db/x", "postgresql://***@db/x"),
        ("postgresql://h/x?user=ada&password=sekret failed", "postgresql://h/x?user=***&password=*** failed"),
        ("http://h/?token=sekret", "http://h/?token=***"),
        (
            "Max retries exceeded with url: /x?token=sekret (Caused",
            "Max retries exceeded with url: /x?token=*** (Caused",
        ),
        ("sqlite:////home/ada@work/mlflow.db", "sqlite:////home/ada@work/mlflow.db"),
    ],
)
def test_secrets_of_addresses_are_not_shown(text: str, shown: str) -> None:
    assert store.without_secrets(text) == shown


def test_dvc_experiments_in_temporary_folders_reach_the_projects_store(project: Project) -> None:
    """A real `dvc exp run --temp`: its folder is deleted afterwards, its run stays."""
    project.file(
        "stage.py",
        "from pathlib import Path\n"
        "from lidr import config\n"
        "from lidr.tracking import Job, sync\n"
        "out = Path('out.txt')\n"
        "out.write_text('x')\n"
        "log_to = lambda run: run.log_artifact(out)\n"
        "sync(config.load(), [Job(stage='prompts', model='m1', inputs=(), outputs=(out,), log_to=log_to)])\n",
    )
    project.file(
        "dvc.yaml",
        f"stages:\n  one:\n    cmd: {sys.executable} stage.py\n    outs: [out.txt]\n    params: [train.dpo.beta]\n",
    )
    project.file(".gitignore", "/.lidr/\n/mlflow.db\n/out.txt\n")
    identity = {f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "PYTHONPATH": str(ROOT / "src")}
    for command in (
        ["git", "init", "-q"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", "commit", "-q", "-m", "first"],
        [sys.executable, "-m", "dvc", "exp", "run", "-q", "--temp", "-n", "lower", "-S", "train.dpo.beta=0.05"],
    ):
        subprocess.run(command, check=True, env=environment)
    (child,), (parent,) = project.children(), project.parents()
    assert child.data.tags["dvc.experiment"] == "lower"
    assert parent.data.params["train.dpo.beta"] == "0.05"
    assert [artifact.path for artifact in project.client.list_artifacts(child.info.run_id)] == ["out.txt"]
    assert child.info.artifact_uri.startswith(str(project.root / "mlartifacts"))
