"""The check that trusts no record: the project at HEAD, cloned and run from nothing, gives the same bytes.

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
from lidr.audit.provenance import differences, state
from lidr.audit.provenance.verify import CheckFailed, Passed
from lidr.errors import LidrError
from lidr.git import git


def rebuild() -> Passed:
    """Clone HEAD, run its pipeline there, compare every output's hash.

    Raises CheckFailed with the table of those that differ where another processor does not explain them.
    """
    commit = git("rev-parse", "HEAD")[:12]
    with tempfile.TemporaryDirectory(prefix="lidr-rebuild-") as name:
        project = _clone(Path(name) / "project")
        expected = state.load(project)
        _reproduce(project, imported(project, expected))
        found = differences.between(expected, state.load(project))
        figures = differences.figures(differences.committed_figures(), project / paths.compare() / paths.METRICS)
    table = tuple(differences.lines(found, figures)) if found else ()
    if objection := differences.objection(found, figures):
        raise CheckFailed("\n  ".join([f"rebuild: other outputs than those of commit {commit}: {objection}", *table]))
    outputs = sum(len(stage.outs) for stage in expected.values())
    ran = f"{len(expected)} stages of commit {commit} run from nothing give"
    same = (
        f"{outputs - len(found)} of {outputs} outputs with the same bytes" if found else f"the same {outputs} outputs"
    )
    return Passed("rebuild", f"{ran} {same}", table)


def imported(project: Path, stages: dict[str, state.Stage]) -> list[str]:
    """The `.dvc` files whose data a stage reads: those of profiles that are not in use are nobody's input."""
    read = {PurePath(path) for stage in stages.values() for path in stage.deps}
    pointers = sorted(path.relative_to(project) for path in project.rglob("*.dvc") if path.is_file())
    return [
        str(pointer)
        for pointer in pointers
        if any(differences.contains_or_is_inside(pointer.with_suffix(""), path) for path in read)
    ]


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
        raise CheckFailed(f"rebuild: `dvc {' '.join(arguments)}` of the clone ended with {done.returncode}")
