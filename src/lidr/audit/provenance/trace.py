"""From an MLflow run, or a registered model, to the bytes that it was made from, and the commands that bring them back.

    $ lidr audit trace 0a1b2c
    train m1 · beta 0.02 (0a1b2c...), FINISHED
      code: commit d53fce3..., as it is there
      in   data/m1/pairs 5f4d....dir · here: the same · recorded by commit 93e1...
      out  models/m1 1b2c....dir · here: another one · recorded by commit 93e1...
    To have it all again:
      git checkout d53fce3...
    ...

A run knows the commit that it began in; the hashes of what it made are in a later commit of dvc.lock, which is searched
for in git's history.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lidr import paths, tracking
from lidr.audit.provenance import state
from lidr.audit.provenance.show import printable
from lidr.errors import LidrError
from lidr.git import git
from lidr.tracking.hashes import dvc_hash

if TYPE_CHECKING:
    from lidr.tracking import Run

RESTORED = Path("restored")
_IN, _OUT = "dvc.in.", "dvc.out."


def trace(name: str) -> Iterator[str]:
    """The run's lines; of a pipeline's run, those of each of its stages. Raises LidrError where MLflow has no such."""
    commands: dict[str, None] = {}
    for run in tracking.find_run(name):
        yield from _run(run, commands)
    if commands:
        yield "To have all of it again:"
        yield from (f"  {command}" for command in commands)
    else:
        yield "No commit's dvc.lock has these hashes: what the run read and wrote was never committed."


def recorded_in(path: str, md5: str) -> str | None:
    """The oldest commit whose dvc.lock has this output with this hash, or None."""
    try:
        commits = git("log", "--reverse", "--format=%H", f"-S{md5}", "--", str(paths.LOCK)).split()
    except LidrError:  # outside of git
        return None
    return next((commit for commit in commits if (path, md5) in _outputs_at(commit)), None)


@cache
def _outputs_at(commit: str) -> frozenset[tuple[str, str]]:
    """All outputs with their hashes, as a commit has them; none where it has no pipeline."""
    try:
        stages = state.load(revision=commit)
    except LidrError:
        return frozenset()
    return frozenset((path, md5) for stage in stages.values() for path, md5 in stage.outs.items() if md5)


def _run(run: Run, commands: dict[str, None]) -> Iterator[str]:
    yield f"{printable(run.info.run_name)} ({run.info.run_id}), {run.info.status}"
    tags = run.data.tags
    commit = tags.get("lidr.git.commit")
    if commit:
        changes = "with changes that are in no commit" if tags.get("lidr.git.dirty") == "yes" else "as it is there"
        yield f"  code: commit {commit}, {changes}"
        commands[f"git checkout {commit}"] = None
    else:
        yield "  code: the run was made outside of git"
    for title, prefix in (("in ", _IN), ("out", _OUT)):
        for tag, md5 in sorted(tags.items()):
            if tag.startswith(prefix):
                yield f"  {title}  {_data(tag.removeprefix(prefix), md5, commands)}"


def _data(path: str, md5: str, commands: dict[str, None]) -> str:
    where = Path(path)
    here = "missing" if not where.exists() else "the same" if dvc_hash(where) == md5 else "another one"
    commit = recorded_in(path, md5)
    if commit is None:
        return f"{path} {md5} · here: {here} · in no commit's {paths.LOCK}"
    commands[f"dvc get . {path} --rev {commit} --out {RESTORED / where}"] = None
    return f"{path} {md5} · here: {here} · recorded by commit {commit[:12]}"
