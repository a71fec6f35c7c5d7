"""A small run of the pipeline, and experiments on it, shared by the tests of this folder, since they take minutes.

The first worker of pytest-xdist that needs one makes it; the others wait and use the same folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import small_pipeline
from filelock import FileLock
from small_pipeline import lidr, run

Fill = Callable[[Path], None]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Fill], Path]:
    """A folder that one worker fills for all; tests that modify it make a copy."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, fill: Fill) -> Path:
        folder, whole = shared / name, shared / f"{name}.whole"
        with FileLock(shared / f"{name}.lock"):
            if not whole.exists():
                assert not folder.exists(), f"another worker could not make {folder}: its tests say why"
                fill(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def reproduced(made_once: Callable[[str, Fill], Path]) -> Path:
    """A clean clone in which all stages have run once, without MLflow: a store stays in the folder it was made in."""

    def fill(folder: Path) -> None:
        small_pipeline.reproduce(small_pipeline.clone(folder))

    return made_once("reproduced", fill)


@pytest.fixture(scope="session")
def experiments(reproduced: Path, made_once: Callable[[str, Fill], Path]) -> Path:
    """A copy whose results are in MLflow, then two experiments.

    The first one, from DVC's queue, has another profile's name; the second one, in the workspace, another beta of m2.
    """

    def fill(folder: Path) -> None:
        small_pipeline.copy(reproduced, folder)
        lidr(folder, "track")
        run("dvc", "exp", "run", "--queue", "--name", "queued", "--set-param", "profile=queued", cwd=folder)
        run("dvc", "exp", "run", "--run-all", cwd=folder)
        # With all that `compare` needs; the audit would run again as well.
        beta = "+iterations.m2.train.dpo.beta=0.2"
        run("dvc", "exp", "run", "--name", "higher", "--set-param", beta, "compare", cwd=folder)

    return made_once("experiments", fill)
