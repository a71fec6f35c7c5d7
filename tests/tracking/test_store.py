"""The store of runs, also from the folders of DVC's experiments."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracking_project import Project, job

from lidr import config
from lidr.tracking import store, sync


def test_root_is_the_project_that_owns_an_experiments_folder(tmp_path: Path) -> None:
    assert store.project_root(tmp_path) == tmp_path
    assert store.project_root(tmp_path / ".dvc/tmp/exps/tmp1x/") == tmp_path
    assert store.project_root(tmp_path / ".dvc/tmp/exps/standalone/tmp1x/sub") == tmp_path


@pytest.mark.parametrize(
    ("root", "named", "expected"),
    [
        ("/home/ada/lidr", None, "sqlite:////home/ada/lidr/mlflow.db"),
        ("/home/ada/lidr", "sqlite:///other.db", "sqlite:////home/ada/lidr/other.db"),
        ("/home/ada/lidr", "sqlite:////else/where.db", "sqlite:////else/where.db"),
        ("/home/ada ü#1/lidr", None, "sqlite:////home/ada ü#1/lidr/mlflow.db"),
        ("/h/wh?at 100%20#/lidr", None, "sqlite+pysqlite:////h/wh%3Fat%20100%2520%23/lidr/mlflow.db"),
    ],
)
def test_uri_is_absolute(root: str, named: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named or "")
    assert store.tracking_uri(Path(root)) == expected
    if named is None:
        assert store.local_file(expected) == Path(root) / "mlflow.db"


@pytest.mark.parametrize("name", ["wh?at 100%20 #ü%", "a b ü#c"])
def test_runs_reach_the_store_of_a_folder_with_signs_that_mean_something(
    project: Project, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        ("neither db://ada:sekret@db:5432/x, nor http://token@h", "neither db://***@db:5432/x, nor http://***@h"),
        ("postgresql://ada:sek/r@et@db/x", "postgresql://***@db/x"),
        ("postgresql://h/x?user=ada&password=sekret failed", "postgresql://h/x?user=***&password=*** failed"),
        ("retries exceeded with url: /x?token=sekret (Caused", "retries exceeded with url: /x?token=*** (Caused"),
        ("sqlite:////home/ada@work/mlflow.db", "sqlite:////home/ada@work/mlflow.db"),
    ],
)
def test_secrets_of_addresses_are_not_shown(text: str, shown: str) -> None:
    assert store.without_secrets(text) == shown
