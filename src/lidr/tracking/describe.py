"""What a run is called, which tags and params it has, and which state of the pipeline it belongs to.

name     train m2 · beta 0.1                        parent   lab · beta 0.1 · 300 prompts
tags     lidr.stage = train, lidr.model = m2, dvc.in.data/m2/pairs = 5f4d....dir, lidr.git.dirty = no, ...
params   train.dpo.beta = 0.1, seed = 42, ...

The state is the settings, the code and data of this package, the user's files in data/sources, and the pointers to
imported data. Its fingerprint is the same for every stage of one `dvc repro`, and for the next that changes nothing.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

import lidr
from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.git import git
from lidr.records.jsonl import read_json
from lidr.tracking.hashes import dvc_hash

if TYPE_CHECKING:
    from lidr.tracking.run import StageRun

PIPELINE_TAG, STATE_TAG, BASE_TAG = "lidr.pipeline", "lidr.state", "lidr.base"
MODEL_HASH_TAG, EXPERIMENT_TAG = "dvc.md5", "dvc.experiment"
_SHARED_PARAMS = ("seed", "dominant", "languages")
# The pipeline's outputs that git tracks: no run is made from them.
_WRITTEN_BY_STAGES = (str(paths.LOCK), f"{paths.REPORTS}/**", "**/.gitignore")
# MLflow's limit for the name of a param, tag or metric.
_MAX_KEY = 250


class Job(Struct, frozen=True, kw_only=True):
    """One stage for one model: the files that it reads and writes, and the function that logs what they say to a run.

    A pairwise comparison outside the pipeline is `against` another model, by these `options` of the command.
    """

    stage: str
    model: str | None
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    log_to: Callable[[StageRun], None]
    against: str | None = None
    options: str = ""

    @property
    def command(self) -> str:
        """What the user typed."""
        return " ".join(filter(None, ("lidr", self.stage, self.model, self.options)))


class Description(Struct, frozen=True, kw_only=True):
    """A run's name, tags and params."""

    name: str
    params: dict[str, str]
    tags: dict[str, str]


def pipeline(settings: config.Settings) -> Description:
    """The parent run of the state that the working folder is in."""
    tags = {PIPELINE_TAG: fingerprint(settings), "lidr.stage": "pipeline", **_origin(settings)}
    name = f"{settings.profile} · {_how(settings.train)} · {settings.prompts.per_iteration:,} prompts"
    if EXPERIMENT_TAG in tags:  # arms of a study may have the same name otherwise
        name = f"{tags[EXPERIMENT_TAG]} · {name}"
    return Description(name=name, params=params(config.flatten(settings)), tags=tags)


def stage(settings: config.Settings, job: Job, parent: Description) -> Description:
    """One stage's run under this parent; hashes the inputs that are there."""
    name = " ".join(filter(None, (job.stage, job.model)))
    if job.stage == "train" and job.model:
        name += f" · {_how(settings.of_iteration(job.model).train)}"
    tags = {**parent.tags, "lidr.stage": job.stage}
    state = tags.pop(PIPELINE_TAG)
    tags |= {"mlflow.source.name": job.command, "mlflow.source.type": "LOCAL"}
    if job.stage == "compare":  # the parent's curves come with it: each state has its own
        tags[STATE_TAG] = state
    if job.model:
        tags["lidr.model"] = job.model
    if job.model in settings.models:  # a published generator has no iteration
        tags["lidr.iteration"] = str(config.iteration_number(job.model))
    if job.against:
        name += f" against {job.against}"
        tags["lidr.against"] = job.against
    own = params(_stage_params(settings, job.stage, job.model))
    return Description(name=name, params=own, tags=tags | hash_tags("in", job.inputs))


def identity(described: Description, outputs: Mapping[str, str]) -> str:
    """The identity of a stage's result: DVC's hashes of its inputs and outputs."""
    inputs = {name: value for name, value in described.tags.items() if name.startswith(("dvc.in.", STATE_TAG))}
    return _sha256([described.tags["mlflow.source.name"], described.params, inputs, dict(outputs)])


def hash_tags(direction: str, files: Iterable[Path]) -> dict[str, str]:
    """A tag with DVC's hash for each file or folder that is there."""
    return {key(f"dvc.{direction}.{path.as_posix()}"): dvc_hash(path) for path in files if path.exists()}


def model_tags(path: Path) -> dict[str, str]:
    """The DVC hash of a model's folder, by which evaluations find it, and what its record says it was made from."""
    record = read_json(path / paths.RECORD)
    names = {"fingerprint": BASE_TAG, "base": BASE_TAG, "reference": "lidr.reference", "pairs": "lidr.pairs"}
    made_from = {names[name]: str(record[name]) for name in names if name in record}
    own = {"lidr.model": path.name, "lidr.iteration": str(config.iteration_number(path.name))}
    return {MODEL_HASH_TAG: dvc_hash(path), "dvc.path": path.as_posix(), **own, **made_from}


def params(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as MLflow's params: text as it is, everything else as JSON. MLflow cuts what is too long for it."""
    return {
        key(name): value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in values.items()
    }


def key(name: str) -> str:
    """The name of a param, tag or metric without the characters that MLflow refuses."""
    return re.sub(r"[^\w\-. :/]", "_", name)[-_MAX_KEY:].lstrip("/")


def fingerprint(settings: config.Settings) -> str:
    """The hash of the settings, the package's code and data, DVC's pointers and pipeline, and the user's own files."""
    package = Path(lidr.__file__).parent
    code = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    files = {f"lidr/{path.relative_to(package).as_posix()}": path for path in code}
    named = [*Path().glob("*.dvc"), *paths.DATA.rglob("*.dvc"), *paths.MODELS.rglob("*.dvc")]
    pointers = [path for path in named if path.is_file()]  # DVC's own folder has the name .dvc
    # What a pointer stands for is the same state whether it was fetched or not.
    fetched = {pointer.with_suffix("") for pointer in pointers}
    own = [path for path in paths.SOURCES.glob("[!.]*") if path not in fetched]
    files |= {path.as_posix(): path for path in (paths.PIPELINE, *pointers, *own) if path.exists()}
    return _sha256([config.flatten(settings), {name: dvc_hash(path) for name, path in files.items()}])


def _origin(settings: config.Settings) -> dict[str, str]:
    """Tags that all runs of one state share: user, code, base and DVC experiment."""
    tags = {"lidr.profile": settings.profile, **_git()}
    with suppress(KeyError, OSError):  # a container's user without a name
        tags["mlflow.user"] = getpass.getuser()
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags[EXPERIMENT_TAG] = experiment
    with suppress(InputError):  # the base has not run yet
        tags[BASE_TAG] = str(read_json(paths.model(paths.BASE) / paths.RECORD)["fingerprint"])
    return tags


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


def _how(train: config.Train) -> str:
    return "sft" if train.objective == "sft" else f"beta {train.dpo['beta']:g}"


def _stage_params(settings: config.Settings, stage: str, model: str | None) -> dict[str, Any]:
    if stage in ("pairs", "train") and model:
        settings = settings.of_iteration(model)
    elif stage in ("generate", "score", "translate") and model:
        settings = settings.of_data(model)
    flat = config.flatten(settings)
    block = {name: value for name, value in flat.items() if name.startswith(f"{stage}.")}
    return block | {name: flat[name] for name in _SHARED_PARAMS}


def _sha256(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
