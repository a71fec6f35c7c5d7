"""A smaller version of the default pipeline in a clean clone, and its commands as a user types them."""

from __future__ import annotations

import shutil
from pathlib import Path

import clones
from clones import commit, environment, run
from factories import ROOT
from tracking_client import Store

__all__ = ["ROOT", "SMALLER", "clone", "commit", "copy", "environment", "run", "store"]

SMALLER = {
    "per_iteration: 500": "per_iteration: 24",
    "languages: [en, es, de, fr, ru, it, pt]": "languages: [en, es, de, fr, ru, it, pt]\n  items: 20",
    # Its stage runs without tasks: what it does with some is the subject of test_dominant.py and test_harness.py.
    "tasks: [lab_sums, lab_translation]": "tasks: []",
    "resamples: 9999": "resamples: 200",
    # Several shards a stage, so that one that is killed finds some.
    "rows_per_shard: 2500": "rows_per_shard: 40",
    # So short a training would log its first step alone.
    "logging_steps: 20": "logging_steps: 2",
}


def clone(folder: Path) -> Path:
    """A clone of the work tree's state, committed or not, with the smaller settings committed."""
    return clones.clone(folder, SMALLER)


def copy(project: Path, folder: Path) -> Path:
    """A project in the same state, its results committed, with a store of its own that is empty."""
    shutil.copytree(project, folder, symlinks=True)
    for name in ("mlflow.db", "mlartifacts", ".lidr"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    commit(folder, "Results")
    return folder


def store(project: Path) -> Store:
    return Store(f"sqlite:///{project}/mlflow.db")
