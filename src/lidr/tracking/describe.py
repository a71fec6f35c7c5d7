"""What is said of a stage's run, and of the state of the pipeline that it ran in.

    name     train m2 · beta 0.1                        parent   lab · beta 0.1 · 300 prompts
    tags     lidr.stage = train, lidr.model = m2, dvc.in.data/m2/pairs = 5f4d....dir, lidr.git.dirty = no, ...
    params   train.dpo.beta = 0.1, seed = 42, ...

The state is the settings, the code and data of this package, and the pointers to imported data: its fingerprint is the
same for every stage of one `dvc repro`, and for the next one that changes nothing.
"""

from __future__ import annotations

import getpass
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

import lidr
from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.git import git
from lidr.records.jsonl import read_json
from lidr.tracking.hashes import dvc_hash

# MLflow's limits; longer values are refused, and with them the whole batch.
MAX_PARAM = 6000
MAX_TAG = 8000
MAX_KEY = 250

BASE_TAG = "lidr.base"
MODEL_HASH_TAG = "dvc.md5"
EXPERIMENT_TAG = "dvc.experiment"
_SHARED_PARAMS = ("seed", "dominant", "languages")
# What the pipeline itself writes and git tracks: it says nothing about what a run was made from.
_WRITTEN_BY_STAGES = (str(paths.LOCK), str(paths.REPORTS), "**/.gitignore")
_MLFLOW_TYPES = {str: "string", bool: "boolean", int: "long", float: "double"}


class Contest(Struct, frozen=True):
    """A comparison outside the pipeline: against whom, and the options of the command that asks for it."""

    other: str
    options: str


class Pipeline(Struct, frozen=True, kw_only=True):
    """The state of the pipeline that a stage ran in: what its parent run says, and the tags that its runs share."""

    experiment: str
    fingerprint: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]


class Description(Struct, frozen=True, kw_only=True):
    """What a stage's run says of itself before it has done anything."""

    name: str
    params: dict[str, str]
    tags: dict[str, str]


class Dataset(Struct, frozen=True, kw_only=True):
    """Data that a stage used; `schema` and `profile` are MLflow's own JSON."""

    name: str
    digest: str
    source: str
    schema: str | None
    profile: str
    context: str


class ModelData(Struct, frozen=True, kw_only=True):
    """A model's name, and DVC's hash, by which evaluations find the logged model that training made."""

    name: str
    digest: str
    tags: dict[str, str]


def pipeline(settings: config.Settings) -> Pipeline:
    """The state of the pipeline in the working folder."""
    common = {"lidr.profile": settings.profile, **_git(), **_user(), **_experiment(), **base_tag()}
    return Pipeline(
        experiment=settings.tracking.experiment,
        fingerprint=fingerprint(settings),
        name=_pipeline_name(settings),
        params=params(config.flatten(settings)),
        tags=_clipped(common),
    )


def stage(
    settings: config.Settings, name: str, model: str | None, inputs: Sequence[Path], contest: Contest | None = None
) -> Description:
    """One stage's run; hashes the inputs that are there."""
    command = " ".join(filter(None, ("lidr", name, model, contest.options if contest else None)))
    tags = {"lidr.stage": name, **_model_tags(settings, model), "mlflow.source.name": command}
    tags |= {"mlflow.source.type": "LOCAL"} | ({"lidr.against": contest.other} if contest else {})
    return Description(
        name=_name(settings, name, model) + (f" against {contest.other}" if contest else ""),
        params=params(_stage_params(settings, name, model)),
        tags=_clipped({**tags, **hash_tags("in", inputs)}),
    )


def result(described: Description, outputs: Mapping[str, str]) -> str:
    """The identity of a stage's result: what it was made from, and what came of it, by DVC's hashes."""
    inputs = {name: value for name, value in described.tags.items() if name.startswith("dvc.in.")}
    parts = [described.tags["mlflow.source.name"], described.params, inputs, dict(outputs)]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def fingerprint(settings: config.Settings) -> str:
    """The state of the pipeline: settings, the package's code and data, and DVC's pointers and pipeline."""
    package = Path(lidr.__file__).parent
    parts = [("settings", hashlib.sha256(msgspec.json.encode(config.flatten(settings), order="sorted")).hexdigest())]
    parts += [(f"lidr/{path.relative_to(package).as_posix()}", _sha256(path)) for path in _package_files(package)]
    parts += [(path.as_posix(), _sha256(path)) for path in _dvc_files()]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def hash_tags(direction: str, files: Iterable[Path]) -> dict[str, str]:
    """A tag with DVC's hash for each file or folder that is there."""
    return {key(f"dvc.{direction}.{path.as_posix()}"): dvc_hash(path) for path in files if path.exists()}


def base_tag() -> dict[str, str]:
    """The fingerprint of the base model, where the pipeline has it already."""
    try:
        record = read_json(paths.model(paths.BASE) / paths.RECORD)
    except InputError:
        return {}
    return {BASE_TAG: str(record["fingerprint"])} if isinstance(record, dict) and "fingerprint" in record else {}


def dataset(path: Path, name: str, context: str, rows: Mapping[str, int]) -> Dataset:
    """A dataset as MLflow's input: DVC's hash as digest, row counts by language, columns of its first row."""
    return Dataset(
        name=name,
        digest=dvc_hash(path),
        source=msgspec.json.encode({"uri": path.as_posix()}).decode(),
        schema=_schema(path),
        profile=_profile(rows),
        context=context,
    )


def items(name: str, source: str, context: str, rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """Rows that are in no file of their own as MLflow's input; the digest is that of a file of JSON lines of them."""
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    counts = Counter(str(row["lang"]) for row in rows)
    return Dataset(
        name=name,
        digest=hashlib.md5(lines, usedforsecurity=False).hexdigest(),
        source=msgspec.json.encode({"uri": source}).decode(),
        schema=_columns(rows[0]),
        profile=_profile(counts),
        context=context,
    )


def model_data(path: Path) -> ModelData:
    """A model's name, the DVC hash of its folder, and what its record says it was made from."""
    record = read_json(path / paths.RECORD)
    names = {"fingerprint": BASE_TAG, "base": BASE_TAG, "reference": "lidr.reference", "pairs": "lidr.pairs"}
    made_from = {names[name]: str(record[name]) for name in names if name in record} if isinstance(record, dict) else {}
    digest = dvc_hash(path)
    own = {"lidr.model": path.name, "lidr.iteration": str(config.iteration_number(path.name))}
    tags = {MODEL_HASH_TAG: digest, "dvc.path": path.as_posix(), **own, **made_from}
    return ModelData(name=path.name, digest=digest, tags=tags)


def params(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as MLflow's params: text as it is, everything else as JSON, nothing longer than MLflow takes."""
    return {key(name): clip(_text(value), MAX_PARAM) for name, value in values.items()}


def clip(text: str, limit: int) -> str:
    """The text; or its beginning, its length and its hash, where it is too long."""
    if len(text) <= limit:
        return text
    note = f" ... ({len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()})"
    return text[: limit - len(note)] + note


def key(name: str) -> str:
    """The name of a param, tag or metric with nothing in it that MLflow refuses."""
    allowed = "".join(letter if letter.isalnum() or letter in "_-. :/" else "_" for letter in name)
    return clip(allowed, MAX_KEY) if len(allowed) <= MAX_KEY else allowed[-MAX_KEY:].lstrip("/")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _clipped(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: clip(value, MAX_TAG) for name, value in tags.items()}


def _name(settings: config.Settings, stage: str, model: str | None) -> str:
    name = " ".join(filter(None, (stage, model)))
    return f"{name} · {_how(settings.train_for(model))}" if stage == "train" and model else name


def _pipeline_name(settings: config.Settings) -> str:
    return f"{settings.profile} · {_how(settings.train)} · {settings.prompts.per_iteration:,} prompts"


def _how(train: config.Train) -> str:
    return "sft" if train.objective == "sft" else f"beta {train.dpo['beta']:g}"


def _model_tags(settings: config.Settings, model: str | None) -> dict[str, str]:
    if model is None:
        return {}
    # A published generator is of no iteration.
    iteration = {"lidr.iteration": str(config.iteration_number(model))} if model in settings.models else {}
    return {"lidr.model": model, **iteration}


def _stage_params(settings: config.Settings, stage: str, model: str | None) -> dict[str, Any]:
    if stage == "train" and model:
        settings = msgspec.structs.replace(settings, train=settings.train_for(model))
    if stage == "pairs" and model:
        settings = msgspec.structs.replace(settings, pairs=settings.pairs_for(model))
    flat = config.flatten(settings)
    block = {name: value for name, value in flat.items() if name.startswith(f"{stage}.")}
    return block | {name: flat[name] for name in _SHARED_PARAMS}


def _package_files(package: Path) -> list[Path]:
    return sorted(
        path
        for path in package.rglob("*")
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(package).parts)
    )


def _dvc_files() -> Iterator[Path]:
    pointers = {*Path().glob("*.dvc"), *paths.DATA.rglob("*.dvc"), *paths.MODELS.rglob("*.dvc")}
    yield from sorted(path for path in {paths.PIPELINE, *pointers} if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git() -> dict[str, str]:
    """Commit, and whether what git tracks, apart from what stages write, differs from it; nothing outside of git."""
    excluded = [f":(exclude,glob){pattern}" for pattern in _WRITTEN_BY_STAGES]
    excluded += [f":(exclude,glob){paths.REPORTS}/**"]
    command = ["status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", "."]
    try:
        result = git(*command, *excluded)
    except LidrError:
        return {}
    header, changes = {}, False
    for line in result.splitlines():
        if line.startswith("# "):
            name, _, value = line.removeprefix("# ").partition(" ")
            header[name] = value
        else:
            changes = True
    commit = header.get("branch.oid", "(initial)")
    if commit == "(initial)":
        return {}
    dirty = "yes" if changes else "no"
    return {"lidr.git.commit": commit, "lidr.git.dirty": dirty, "mlflow.source.git.commit": commit}


def _user() -> dict[str, str]:
    try:
        return {"mlflow.user": getpass.getuser()}
    except (KeyError, OSError):  # a container's user without a name
        return {}


def _experiment() -> dict[str, str]:
    name = os.environ.get("DVC_EXP_NAME")
    return {EXPERIMENT_TAG: name} if name else {}


def _schema(path: Path) -> str | None:
    """The columns of a file of JSON lines, or of a folder's first one, by its first row."""
    file = next(iter(sorted(path.glob("*.jsonl"))), None) if path.is_dir() else path
    if file is None or file.suffix != ".jsonl":
        return None
    with file.open("rb") as lines:
        first = lines.readline()
    try:
        row = msgspec.json.decode(first, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
    return _columns(row)


def _columns(row: Mapping[str, Any]) -> str:
    columns = [
        {"type": _MLFLOW_TYPES.get(type(value), "any"), "name": name, "required": True} for name, value in row.items()
    ]
    return msgspec.json.encode({"mlflow_colspec": columns}).decode()


def _profile(rows: Mapping[str, int]) -> str:
    return msgspec.json.encode({"num_rows": sum(rows.values()), "rows": dict(rows)}).decode()
