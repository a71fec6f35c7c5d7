"""Clones of this work tree in which tests run the pipeline as users do, and other test repositories."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from factories import ROOT


def run(*command: str, cwd: Path, **variables: str) -> str:
    """The command's output, or an AssertionError with the end of it if the command fails."""
    done = subprocess.run(command, cwd=cwd, env=environment(**variables), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def environment(**variables: str) -> dict[str, str]:
    """This process's environment, with its Python's commands first and without settings of tracking."""
    kept = {name: value for name, value in os.environ.items() if name not in ("MLFLOW_TRACKING_URI", "LIDR_TRACKING")}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "DVC_NO_ANALYTICS": "1", **variables}


def run_stages(project: Path, *target: str, **variables: str) -> None:
    """Run all stages, or one and those that it needs, in one process: `dvc repro` imports torch for each of them."""
    run(sys.executable, str(ROOT / "tests/pipeline/one_process.py"), *target, cwd=project, **variables)


def clone(folder: Path, smaller: Mapping[str, str]) -> Path:
    """A clone of the work tree, uncommitted changes included, with texts of the lab profile replaced and committed."""
    run("git", "clone", "--quiet", str(ROOT), str(folder), cwd=ROOT)
    changed = run("git", "ls-files", "--modified", "--others", "--exclude-standard", cwd=ROOT).split("\n")
    for name in filter(None, changed):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes()) if source.exists() else target.unlink(missing_ok=True)
    # The committed results of an earlier run would hide those of this one.
    run("git", "rm", "-rq", "--cached", "--ignore-unmatch", "dvc.lock", "reports", cwd=folder)
    (folder / "dvc.lock").unlink(missing_ok=True)
    for text in smaller.items():
        for name in ("params.yaml", "profiles/lab.yaml"):
            path = folder / name
            assert text[0] in path.read_text("utf-8"), f"{name} has no {text[0]!r}"
            path.write_text(path.read_text("utf-8").replace(*text), "utf-8")
    commit(folder, "Smaller")
    return folder


def commit(folder: Path, message: str) -> None:
    """Commit all files of the folder, with a placeholder author."""
    run("git", "config", "user.name", "Test", cwd=folder)
    run("git", "config", "user.email", "test@example.invalid", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", message, cwd=folder)


def git(*arguments: str) -> str:
    """git's output in the working folder; the author of commits is a placeholder."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()
