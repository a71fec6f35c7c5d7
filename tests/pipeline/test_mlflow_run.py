"""`mlflow run .` with one stage and with the whole pipeline; all runs nest under MLflow's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_pipeline
from small_pipeline import ALL_STAGES, run, store

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def project(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stages have run, but are not in MLflow."""
    return small_pipeline.copy(reproduced, tmp_path_factory.mktemp("mlflow-run") / "lidr")


def outer_runs(project: Path) -> list[Any]:
    return store(project).runs("tags.`mlflow.source.type` = 'PROJECT'")


def test_one_stage(project: Path) -> None:
    run("mlflow", "run", ".", "--env-manager", "local", "-e", "pairs", "-P", "iteration=m2", cwd=project)
    (outer,) = outer_runs(project)
    (child,) = store(project).children(outer)
    assert child.info.run_name == "pairs m2"
    assert (child.info.status, outer.info.status) == ("FINISHED", "FINISHED")
    assert child.data.metrics["pairs"] > 0


def test_whole_pipeline(project: Path) -> None:
    """Only `compare` has changed and runs. It logs all stages that are not in MLflow yet, under one parent."""
    path = project / "params.yaml"
    text = path.read_text("utf-8")
    assert "profile: lab\n" in text
    path.write_text(text.replace("profile: lab\n", "profile: other\n"), "utf-8")
    run("mlflow", "run", ".", "--env-manager", "local", cwd=project)
    outer = outer_runs(project)[-1]
    names = [child.info.run_name for child in store(project).children(outer)]
    assert names.count("compare") == 1 and "pairs m1" in names and "pairs m2" not in names
    assert len(names) == ALL_STAGES - 1
    assert outer.data.params["profile"] == "other"
    assert sorted(dict(store(project).history(outer.info.run_id, "mgsm accuracy/es"))) == [0, 1, 2]
    assert len(store(project).parents()) == len(outer_runs(project)) == 2
