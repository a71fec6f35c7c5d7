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
from pathlib import Path

from lidr.audit.provenance import differences, state
from lidr.audit.provenance.verify import Passed
from lidr.errors import LidrError
from lidr.git import git


def rebuild() -> Passed:
    """Clone HEAD, run its pipeline there, compare every output's hash.

    Raises LidrError with the table of those that differ where another processor does not explain them.
    """
    head = git("rev-parse", "HEAD")
    root = Path(git("rev-parse", "--show-toplevel")).resolve()
    with tempfile.TemporaryDirectory(prefix="lidr-rebuild-") as name:
        clone = Path(name) / "project"
        git("clone", "--quiet", "--no-hardlinks", str(root), str(clone))
        git("checkout", "--quiet", "--detach", head, folder=clone)
        project = clone / Path.cwd().resolve().relative_to(root)
        expected = state.load(project)
        if pointers := _imported(project, expected):
            _dvc(project, "pull", "--quiet", *pointers)
        _dvc(project, "repro", "--force")
        what = f"rebuild: other outputs than those of commit {head[:12]}"
        metrics = project / differences.METRICS
        found, table = differences.explained(expected, state.load(project), metrics, what)
    outputs = sum(len(stage.outs) for stage in expected.values())
    same = f"{outputs - len(found)} of {outputs} outputs with the same bytes"
    given = same if found else f"the same {outputs} outputs"
    ran = f"{len(expected)} stages of commit {head[:12]} run from nothing give {given}"
    return Passed("rebuild", ran, table if found else ())


def _imported(project: Path, stages: dict[str, state.Stage]) -> list[str]:
    """The `.dvc` files whose data a stage reads: those of profiles that are not in use are nobody's input."""
    read = {Path(path) for stage in stages.values() for path in stage.deps}
    pointers = sorted(path.relative_to(project) for path in project.rglob("*.dvc") if path.is_file())
    return [
        str(pointer)
        for pointer in pointers
        if any(differences.contains_or_is_inside(pointer.with_suffix(""), path) for path in read)
    ]


def _dvc(project: Path, *arguments: str) -> None:
    """Run DVC in the clone; its progress goes to standard error, since standard output is the check's own."""
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
    done = subprocess.run([program, *arguments], cwd=project, env=environment, stdout=2, check=False)
    if done.returncode:
        raise LidrError(f"rebuild: `dvc {' '.join(arguments)}` of the clone ended with {done.returncode}")
