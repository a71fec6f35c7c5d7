"""The pipeline's state: its fingerprint, and tags with its provenance.

    {"lidr.profile": "lab", "lidr.git.commit": "d53fce3...", "lidr.git.dirty": "no", "lidr.base": "3f1c9a04b7d2", ...}

The state is the settings, the code and data of this package, and the pointers to imported data: its fingerprint is the
same for every stage of one `dvc repro`, and for the next one that changes nothing.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

import lidr
from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.git import git
from lidr.records.jsonl import read_json

BASE_TAG = "lidr.base"
EXPERIMENT_TAG = "dvc.experiment"
# The pipeline's outputs that git tracks: no run is made from them.
_WRITTEN_BY_STAGES = (str(paths.LOCK), f"{paths.REPORTS}/**", "**/.gitignore")


def fingerprint(settings: config.Settings) -> str:
    """The hash of the settings, the package's code and data, and DVC's pointers and pipeline."""
    package = Path(lidr.__file__).parent
    files = {f"lidr/{path.relative_to(package).as_posix()}": path for path in package.rglob("*") if _is_code(path)}
    pointers = [*Path().glob("*.dvc"), *paths.DATA.rglob("*.dvc"), *paths.MODELS.rglob("*.dvc")]
    files |= {path.as_posix(): path for path in (paths.PIPELINE, *pointers) if path.is_file()}
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return sha256_of([config.flatten(settings), hashes])


def origin(settings: config.Settings) -> dict[str, str]:
    """Tags that all runs of one state share: user, code, base and DVC experiment."""
    tags = {"lidr.profile": settings.profile, **_git()}
    with contextlib.suppress(KeyError, OSError):  # a container's user without a name
        tags["mlflow.user"] = getpass.getuser()
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags[EXPERIMENT_TAG] = experiment
    try:
        record = read_json(paths.model(paths.BASE) / paths.RECORD)
    except InputError:  # the base has not run yet
        return tags
    return tags | {BASE_TAG: str(record["fingerprint"])}


def sha256_of(value: Any) -> str:
    """The hash of the value as JSON with sorted keys."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def _is_code(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def _git() -> dict[str, str]:
    """Commit, and whether what git tracks, apart from what stages write, differs from it; nothing outside of git."""
    excluded = [f":(exclude,glob){pattern}" for pattern in _WRITTEN_BY_STAGES]
    try:
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
    except LidrError:
        return {}
    dirty = "yes" if changes else "no"
    return {"lidr.git.commit": commit, "lidr.git.dirty": dirty, "mlflow.source.git.commit": commit}
