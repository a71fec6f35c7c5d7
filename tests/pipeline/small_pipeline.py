"""A smaller version of the default pipeline in a clean clone, run by a user's commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import clones
from clones import commit, environment, run, run_stages
from factories import ROOT
from tracking_client import Store

__all__ = ["ROOT", "SMALLER", "clone", "commit", "copy", "environment", "run", "store"]

SMALLER = {
    "per_iteration: 500": "per_iteration: 24",
    "languages: [en, es, de, fr, ru, it, pt]": "languages: [en, es, de, fr, ru, it, pt]\n  items: 20",
    # No tasks: test_dominant.py and test_harness.py test the stage with some.
    "tasks: [lab_sums, lab_translation]": "tasks: []",
    "resamples: 9999": "resamples: 200",
    # Several shards per stage, so that a killed stage leaves some.
    "rows_per_shard: 2500": "rows_per_shard: 40",
    # Otherwise so short a training would log only its first step.
    "logging_steps: 20": "logging_steps: 2",
}


def clone(folder: Path) -> Path:
    """A clone of the work tree, uncommitted changes included, with the smaller settings committed."""
    return clones.clone(folder, SMALLER)


def reproduce(project: Path) -> None:
    """Run all stages as `dvc repro` would, in one process, and log them."""
    run_stages(project)
    run("dvc", "commit", "--force", "--quiet", cwd=project)
    run("lidr", "track", cwd=project)


def copy(project: Path, folder: Path) -> Path:
    """A copy of the project with committed results and an empty tracking store of its own."""
    shutil.copytree(project, folder, symlinks=True)
    for name in ("mlflow.db", "mlartifacts", ".lidr"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    commit(folder, "Results")
    return folder


def store(project: Path) -> Store:
    return Store(f"sqlite:///{project}/mlflow.db")
