"""One small run of the pipeline, and experiments on it, for all tests of this folder: they take minutes."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_pipeline
from small_pipeline import run


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone in which `dvc repro` has run once; tests that change something copy it."""
    folder = small_pipeline.clone(tmp_path_factory.mktemp("first") / "lidr")
    run("dvc", "repro", "--quiet", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def experiments(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which three experiments have run: another beta here, two numbers of resamples from DVC's queue."""
    folder = small_pipeline.copy(reproduced, tmp_path_factory.mktemp("experiments") / "lidr")
    run("lidr", "track", cwd=folder)
    run("dvc", "exp", "run", "--name", "higher", "--set-param", "train.dpo.beta=0.2", cwd=folder)
    run("git", "checkout", "--quiet", "--", ".", cwd=folder)
    run("dvc", "checkout", "--quiet", cwd=folder)
    run("dvc", "exp", "run", "--queue", "--set-param", "compare.resamples=150,250", cwd=folder)
    run("dvc", "exp", "run", "--run-all", cwd=folder)
    run("lidr", "track", cwd=folder)
    return folder
