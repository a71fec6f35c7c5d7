"""The strongest proof: the project at HEAD, cloned and run from nothing, gives the same bytes.

    $ lidr audit verify --rebuild
    ok  rebuild     23 stages of commit d53fce3 run from nothing give the same 44 outputs

The clone has no data, no cache and no MLflow; its code is its own. What may differ between machines, and why, is in
docs/audit.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePath

from lidr import paths
from lidr.errors import LidrError
from lidr.git import git
from lidr.provenance import lock
from lidr.provenance.verify import BrokenLink, Passed

LISTED = 20


def rebuild() -> Passed:
    """Clone HEAD, run its pipeline there, compare every output's hash; raises BrokenLink with those that differ."""
    commit = git("rev-parse", "HEAD")
    expected = lock.read_lock(git("show", f"HEAD:./{paths.LOCK}"), f"{paths.LOCK} of {commit[:12]}")
    with tempfile.TemporaryDirectory(prefix="lidr-rebuild-") as name:
        project = _clone(Path(name) / "project")
        _reproduce(project, imported(project, expected))
        found = lock.read_lock((project / paths.LOCK).read_text("utf-8"), paths.LOCK)
    differences = different_outputs(expected, found)
    if differences:
        more = f" and {len(differences) - LISTED} more" if len(differences) > LISTED else ""
        listed = "\n  ".join(differences[:LISTED])
        raise BrokenLink(
            f"rebuild: {len(differences)} outputs are not those of commit {commit[:12]}:\n  {listed}{more}"
        )
    outputs = sum(len(stage.outs) for stage in expected.values())
    return Passed(
        "rebuild", f"{len(expected)} stages of commit {commit[:12]} run from nothing give the same {outputs} outputs"
    )


def imported(project: Path, stages: dict[str, lock.LockedStage]) -> list[str]:
    """The `.dvc` files whose data a stage reads: those of profiles that are not in use are nobody's input."""
    read = {PurePath(path) for stage in stages.values() for path in stage.deps}
    pointers = sorted(path.relative_to(project) for path in project.rglob("*.dvc") if path.is_file())
    return [str(pointer) for pointer in pointers if any(_overlap(pointer.with_suffix(""), path) for path in read)]


def _overlap(one: PurePath, other: PurePath) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def different_outputs(expected: dict[str, lock.LockedStage], found: dict[str, lock.LockedStage]) -> list[str]:
    """A line for each output whose hash is another one, or that only one of the two has, in the pipeline's order."""
    lines = []
    for name in [*expected, *(name for name in found if name not in expected)]:
        before = expected[name].outs if name in expected else {}
        after = found[name].outs if name in found else {}
        for path in [*before, *(path for path in after if path not in before)]:
            if before.get(path) != after.get(path):
                lines.append(f"{path} of {name}: {before.get(path, 'not there')}, now {after.get(path, 'not there')}")
    return lines


def _clone(folder: Path) -> Path:
    """The project at HEAD; it may be a folder inside of its git repository."""
    root = Path(git("rev-parse", "--show-toplevel"))
    git("clone", "--quiet", "--no-hardlinks", str(root), str(folder))
    git("checkout", "--quiet", "--detach", git("rev-parse", "HEAD"), folder=folder)
    return folder / Path.cwd().resolve().relative_to(root.resolve())


def _reproduce(project: Path, pointers: Sequence[str]) -> None:
    """Fetch what the stages read, then run all of them, whatever DVC holds for up to date."""
    if pointers:
        _dvc(project, "pull", "--quiet", *pointers)
    _dvc(project, "repro", "--force")


def _dvc(project: Path, *arguments: str) -> None:
    tools = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(project / "src"),
        "LIDR_TRACKING": "off",
        "DVC_NO_ANALYTICS": "1",
    }
    program = shutil.which("dvc", path=environment["PATH"])
    if program is None:
        raise LidrError("there is no `dvc` beside this Python or on the PATH")
    # Its progress goes to standard error: standard output stays the check's own.
    done = subprocess.run([program, *arguments], cwd=project, env=environment, stdout=2, check=False)
    if done.returncode:
        raise BrokenLink(f"rebuild: `dvc {' '.join(arguments)}` of the clone ended with {done.returncode}")
