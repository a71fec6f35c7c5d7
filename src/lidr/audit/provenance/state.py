"""What DVC recorded of each stage (dvc.lock), and what has changed since, by DVC's own index and status.

The only module that imports DVC's package, which takes a third of a second.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lidr import paths
from lidr.errors import InputError, LidrError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

Kind = Literal["cmd", "deps", "params", "outs"]
CODE = "src/"


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml as it last ran: hashes by path, parameters by their place in params.yaml.

    A hash is None, and a parameter is missing, where dvc.lock does not have it.
    """

    name: str
    cmd: str
    deps: dict[str, str | None]
    params: dict[str, Any]
    outs: dict[str, str | None]

    @property
    def has_run(self) -> bool:
        return any(md5 is not None for md5 in self.outs.values())

    @property
    def code(self) -> dict[str, str | None]:
        """The dependencies that are code."""
        return {path: md5 for path, md5 in self.deps.items() if path.startswith(CODE)}


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as dvc.lock has it: `how` is 'modified', 'deleted' or 'new'."""

    stage: str
    kind: Kind
    path: str
    how: str


def load(folder: Path = Path(), revision: str | None = None) -> dict[str, Stage]:
    """The stages of a project's dvc.yaml by name, in its order, here or in a git commit; raises LidrError without."""
    with _opened(folder, revision) as repo:
        return {stage.name: _stage(stage) for stage in _stages(repo)}


def mismatches() -> list[Mismatch]:
    """All that is not as dvc.lock has it, in the order of dvc.yaml; a stage that has not run is one, of its command."""
    with _opened(Path()) as repo:
        return [found for stage in _stages(repo) for found in _mismatches(stage)]


def unchanged(without: str | None = None) -> set[str]:
    """The stages whose command, inputs, parameters and outputs are those of dvc.lock; `without` is not looked at."""
    with _opened(Path()) as repo:
        return {
            stage.name for stage in _stages(repo) if stage.name != without and next(_mismatches(stage), None) is None
        }


def changed_files() -> dict[str, list[str]]:
    """Files that are not as the lists in DVC's cache have them, by what became of them: modified, deleted, added."""
    with _opened(Path()) as repo:
        status = repo.data_status(granular=True, untracked_files="no").get("uncommitted", {})
        return {how: sorted(files) for how, files in status.items() if how in ("modified", "deleted", "added")}


def left_over() -> list[str]:
    """Stages in dvc.lock that dvc.yaml has no more: of another profile, or of an iteration that was taken out."""
    from dvc.dvcfile import Lockfile

    with _opened(Path()) as repo:
        recorded = Lockfile(repo, str(paths.LOCK)).load().get("stages", {})
        return sorted(recorded.keys() - {stage.name for stage in _stages(repo)})


@contextmanager
def _opened(folder: Path, revision: str | None = None) -> Iterator[Repo]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    place = folder / (paths.LOCK if (folder / paths.PIPELINE).exists() else paths.PIPELINE)
    if revision is None and not place.exists():
        raise InputError("no such file; run `dvc repro` in the project's root", place.relative_to(folder))
    try:
        # Repo's own argument `rev` looks for the project in the root of the git repository only.
        with Repo(str(folder)) as repo, repo.switch(revision) if revision else nullcontext():
            yield repo
    except DvcException as error:
        raise LidrError(f"DVC: {str(error).splitlines()[0]}") from error


def _stages(repo: Repo) -> Iterator[PipelineStage]:
    """The stages of dvc.yaml; `.dvc` files are stages as well for DVC, without a name."""
    yield from (stage for stage in repo.index.stages if getattr(stage, "name", None))


def _stage(stage: PipelineStage) -> Stage:
    from dvc.dependency import ParamsDependency

    deps, params = {}, {}
    for dep in stage.deps:
        if not isinstance(dep, ParamsDependency):
            deps[dep.def_path] = dep.hash_info.value
        elif dep.def_path == str(paths.PARAMS):
            params = dict(dep.hash_info.value or {})
    return Stage(stage.name, stage.cmd, deps, params, {out.def_path: out.hash_info.value for out in stage.outs})


def _mismatches(stage: PipelineStage) -> Iterator[Mismatch]:
    from dvc.dependency import ParamsDependency

    if stage.cmd_changed or not _stage(stage).has_run:
        yield Mismatch(stage.name, "cmd", stage.cmd, "modified" if stage.cmd_changed else "new")
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            for path, places in dep.status().items():
                changes = places.items() if isinstance(places, dict) else [("", places)]
                yield from (Mismatch(stage.name, "params", f"{path}: {place}", how) for place, how in changes)
        else:
            yield from (Mismatch(stage.name, "deps", dep.def_path, how) for how in dep.workspace_status().values())
    for out in stage.outs:
        yield from (Mismatch(stage.name, "outs", out.def_path, how) for how in out.workspace_status().values())
