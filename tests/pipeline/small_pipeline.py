"""A smaller version of the default pipeline in a clean clone, run by a user's commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import clones
import pytest
from clones import commit, environment, run, run_stages
from factories import ROOT
from refusal import done
from tracking_client import Store

__all__ = ["ALL_STAGES", "ROOT", "SMALLER", "clone", "commit", "copy", "environment", "lidr", "run", "store"]

SMALLER = {
    "languages: [es, de, fr, ru]": "languages: [es, de]",
    "per_iteration: 500": "per_iteration: 24",
    "\ntranslate:\n": "\ntranslate:\n  round_trip: 4\n",
    "languages: [en, es, de, fr, ru, it, pt]": "languages: [en, es, de, it]\n  items: 20",
    # No tasks: test_dominant.py and test_harness.py test the stage with some.
    "tasks: [lab_sums, lab_translation]": "tasks: []",
    "resamples: 9999": "resamples: 200",
    # Several shards per stage, so that a killed stage leaves some.
    "rows_per_shard: 2500": "rows_per_shard: 20",
    # Otherwise so short a training would log only its first step.
    "logging_steps: 20": "logging_steps: 2",
}

# `base`, those of two iterations, `baseline`, those of three models, `compare`.
ALL_STAGES = 1 + 2 * 7 + 1 + 3 * 3 + 1


def clone(folder: Path) -> Path:
    """A clone of the work tree, uncommitted changes included, with the smaller settings committed."""
    return clones.clone(folder, SMALLER)


def reproduce(project: Path) -> None:
    """Run all stages as `dvc repro` would, in one process; nothing is logged."""
    run_stages(project, LIDR_TRACKING="off")
    run("dvc", "commit", "--force", "--quiet", cwd=project)


def copy(project: Path, folder: Path) -> Path:
    """A copy of the project with committed results."""
    shutil.copytree(project, folder, symlinks=True)
    shutil.rmtree(folder / ".lidr")
    commit(folder, "Results")
    return folder


def lidr(project: Path, *command: str, is_logged: bool = True) -> str:
    """The output of a command in this process, which imports torch and MLflow only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("LIDR_TRACKING", raising=False)
        if not is_logged:
            patch.setenv("LIDR_TRACKING", "off")
        return done(*command)


def store(project: Path) -> Store:
    return Store(f"sqlite:///{project}/mlflow.db")
