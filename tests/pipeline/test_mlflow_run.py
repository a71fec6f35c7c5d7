"""`mlflow run .` with one stage and with the whole pipeline; all runs nest under MLflow's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_pipeline
from small_pipeline import run, store

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def project(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = small_pipeline.copy(reproduced, tmp_path_factory.mktemp("mlflow-run") / "lidr")
    run("lidr", "track", cwd=folder)
    return folder


def outer_runs(project: Path) -> list[Any]:
    return store(project).runs("tags.`mlflow.source.type` = 'PROJECT'")


def test_one_stage(project: Path) -> None:
    run("mlflow", "run", ".", "--env-manager", "local", "-e", "train", "-P", "iteration=m2", cwd=project)
    (outer,) = outer_runs(project)
    (child,) = store(project).children(outer)
    assert child.info.run_name.startswith("train m2")
    assert (child.info.status, outer.info.status) == ("FINISHED", "FINISHED")
    assert len(store(project).history(child.info.run_id, "loss")) > 1


def test_whole_pipeline(project: Path) -> None:
    """Changed stages run, under one parent."""
    path = project / "params.yaml"
    text = path.read_text("utf-8")
    assert "profile: lab\n" in text
    path.write_text(text.replace("profile: lab\n", "profile: other\n"), "utf-8")
    run("mlflow", "run", ".", "--env-manager", "local", cwd=project)
    outer = outer_runs(project)[-1]
    assert [child.info.run_name for child in store(project).children(outer)] == ["compare"]
    assert outer.data.params["profile"] == "other"
    assert sorted(dict(store(project).history(outer.info.run_id, "mgsm accuracy/es"))) == [0, 1, 2]
    # The first is that of `dvc repro` before.
    assert len(store(project).parents()) == 1 + len(outer_runs(project)) == 3
