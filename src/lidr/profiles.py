"""Profiles: complete configurations under profiles/, one of which is copied to params.yaml.

$ lidr profile use paper
-profile: lab
+profile: paper
...
data/sources/alpagasus.dvc: `dvc pull data/sources/alpagasus.dvc` fetches it

A profile's external data is a DVC pointer under profiles/sources (made by `dvc import`, pinned by commit and hash).
Only the active profile's pointers are copied to data/sources: `dvc status` and `dvc exp run` check the origin of each
pointer there, which fails without a network.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.git import git
from lidr.records.jsonl import write_text


def names() -> list[str]:
    """The names of all profiles, sorted."""
    return sorted(path.stem for path in paths.PROFILES.glob("*.yaml"))


def is_active(name: str) -> bool:
    """Whether params.yaml is an exact copy of this profile."""
    return paths.PARAMS.exists() and paths.PARAMS.read_bytes() == paths.profile(name).read_bytes()


def use(name: str, force: bool = False) -> str:
    """Copy a profile to params.yaml and return the diff; refuses to overwrite the user's edits."""
    if name not in names():
        raise InputError(f"no profile {name!r}; there are {', '.join(names())}", paths.PROFILES)
    settings = config.load(paths.profile(name))
    if not force and _has_own_edits():
        raise LidrError(
            f"{paths.PARAMS} holds edits that are neither committed nor a profile's as it is now; commit them, "
            "or use --force"
        )
    place_pointers(settings)
    old = paths.PARAMS.read_text("utf-8").splitlines() if paths.PARAMS.exists() else []
    new = paths.profile(name).read_text("utf-8")
    if old == new.splitlines():
        return ""
    write_text(paths.PARAMS, new)
    return "\n".join(difflib.unified_diff(old, new.splitlines(), "params.yaml before", "params.yaml now", lineterm=""))


def pointers(settings: config.Settings) -> list[Path]:
    """The pointers in data/sources for the data that the configuration reads."""
    read = settings.sources().values()
    known = {paths.SOURCES / path.stem: paths.SOURCES / path.name for path in sorted(paths.POINTERS.glob("*.dvc"))}
    return [pointer for data, pointer in known.items() if any(Path(path).is_relative_to(data) for path in read)]


def place_pointers(settings: config.Settings) -> None:
    """Copy the needed pointers to data/sources and remove the others; changed ones stay."""
    needed = pointers(settings)
    for shipped in sorted(paths.POINTERS.glob("*.dvc")):
        placed = paths.SOURCES / shipped.name
        content = shipped.read_text("utf-8")
        if placed in needed and not placed.exists():
            write_text(placed, content)
        elif placed not in needed and placed.exists() and placed.read_text("utf-8") == content:
            placed.unlink()


def _has_own_edits() -> bool:
    if not paths.PARAMS.exists() or any(is_active(name) for name in names()):
        return False
    try:
        return bool(git("diff", "--name-only", "HEAD", "--", str(paths.PARAMS)))
    except LidrError:  # without git, or before the first commit, the edits are in this file only
        return True
