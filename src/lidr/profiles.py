"""Profiles: complete configurations under profiles/, one of which is copied to params.yaml.

$ lidr profile use lab
-profile: small
+profile: lab
...
"""

from __future__ import annotations

import difflib

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.git import git
from lidr.jsonl import write_text


def names() -> list[str]:
    """All profiles, sorted."""
    return sorted(path.stem for path in paths.PROFILES.glob("*.yaml"))


def is_active(name: str) -> bool:
    """Whether params.yaml is this profile, to the letter."""
    return paths.PARAMS.exists() and paths.PARAMS.read_bytes() == paths.profile(name).read_bytes()


def use(name: str, force: bool = False) -> str:
    """Make a profile the active params.yaml and return what changed; refuses to overwrite edits of the user's own."""
    if name not in names():
        raise InputError(f"no profile {name!r}; there are {', '.join(names())}", paths.PROFILES)
    config.load(paths.profile(name))
    if not force and _has_own_edits():
        raise LidrError(
            f"{paths.PARAMS} holds edits that are neither committed nor a profile's; commit them, or use --force"
        )
    old = paths.PARAMS.read_text("utf-8").splitlines() if paths.PARAMS.exists() else []
    new = paths.profile(name).read_text("utf-8")
    if old == new.splitlines():
        return ""
    write_text(paths.PARAMS, new)
    return "\n".join(difflib.unified_diff(old, new.splitlines(), "params.yaml before", "params.yaml now", lineterm=""))


def _has_own_edits() -> bool:
    if not paths.PARAMS.exists() or any(is_active(name) for name in names()):
        return False
    try:
        return bool(git("diff", "--name-only", "HEAD", "--", str(paths.PARAMS)))
    except LidrError:  # outside of git, or before its first commit, nothing holds the edits but the file
        return True
