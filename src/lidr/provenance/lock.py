"""What DVC recorded (dvc.lock), and what the pipeline asks for (dvc.yaml with its loops and variables resolved).

    >>> locked = read_lock(paths.LOCK.read_text("utf-8"))["pairs@m1"]
    >>> locked.cmd, locked.outs
    ('lidr pairs m1', {'data/m1/pairs': '5f4d....dir'})
    >>> read_pipeline(...)["pairs@m1"].deps[-1]
    'data/m1/translations'

Both files are YAML, and all of it that is needed here is names and hashes, so DVC's own package is not imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lidr import paths
from lidr.errors import InputError

_VARIABLE = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class LockedStage:
    """One stage as it last ran: hashes by path, parameters by their place in params.yaml."""

    name: str
    cmd: str
    deps: dict[str, str]
    params: dict[str, Any]
    outs: dict[str, str]


@dataclass(frozen=True)
class WantedStage:
    """One stage as dvc.yaml asks for it."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]


def load_lock() -> dict[str, LockedStage]:
    """The working folder's dvc.lock; raises InputError where there is none."""
    return read_lock(_text(paths.LOCK), paths.LOCK)


def read_lock(text: str, place: str | Path) -> dict[str, LockedStage]:
    """The stages of a dvc.lock by name; raises InputError where the text is none."""
    stages = _mapping(text, place).get("stages")
    if not isinstance(stages, dict):
        raise InputError("no stages; run `dvc repro`", place)
    return {name: _locked(name, stage, place) for name, stage in stages.items()}


def load_pipeline() -> dict[str, WantedStage]:
    """All stages of the working folder's dvc.yaml, with the values of its params.yaml."""
    return read_pipeline(_text(paths.PIPELINE), _mapping(_text(paths.PARAMS), paths.PARAMS))


def read_pipeline(text: str, params: Mapping[str, Any]) -> dict[str, WantedStage]:
    """The stages in the file's order, each element of a `foreach` by itself; keys of params.yaml are the variables."""
    wanted = {}
    for name, stage in _mapping(text, paths.PIPELINE)["stages"].items():
        for full_name, variables in _elements(name, stage, params):
            wanted[full_name] = _wanted(full_name, stage.get("do", stage), variables)
    return wanted


def recorded_params() -> dict[str, Any]:
    """The document params.yaml as DVC reads it."""
    return _mapping(_text(paths.PARAMS), paths.PARAMS)


def value_at(document: Mapping[str, Any], place: str) -> Any:
    """The value under a dotted key; raises KeyError where there is none."""
    value: Any = document
    for key in place.split("."):
        value = value[key]
    return value


def _locked(name: str, stage: Any, place: str | Path) -> LockedStage:
    try:
        return LockedStage(
            name=name,
            cmd=stage["cmd"],
            deps={row["path"]: row["md5"] for row in stage.get("deps", [])},
            params=dict(stage.get("params", {}).get(str(paths.PARAMS), {})),
            outs={row["path"]: row["md5"] for row in stage.get("outs", [])},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the stage {name!r} is not as DVC writes one: {error!r}", place) from error


def _elements(name: str, stage: Any, params: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "foreach" not in stage:
        yield name, dict(params)
        return
    over = _resolve(stage["foreach"], params) if isinstance(stage["foreach"], str) else stage["foreach"]
    for key, item in over.items() if isinstance(over, dict) else ((item, item) for item in over):
        yield f"{name}@{key}", {**params, "key": key, "item": item}


def _wanted(name: str, stage: Any, variables: Mapping[str, Any]) -> WantedStage:
    listed = {
        kind: tuple(str(_resolve(_path(entry), variables)) for entry in stage.get(kind, []))
        for kind in ("deps", "params", "outs", "metrics", "plots")
    }
    return WantedStage(
        name=name,
        cmd=str(_resolve(stage["cmd"], variables)),
        deps=listed["deps"],
        params=listed["params"],
        outs=(*listed["outs"], *listed["metrics"], *listed["plots"]),
    )


def _path(entry: Any) -> str:
    """An entry is a path, or a path with options."""
    return str(next(iter(entry))) if isinstance(entry, dict) else str(entry)


def _resolve(text: str, variables: Mapping[str, Any]) -> Any:
    """The text with its `${...}` replaced; the value itself where the text is one variable and nothing else."""
    try:
        if whole := _VARIABLE.fullmatch(text):
            return value_at(variables, whole[1])
        return _VARIABLE.sub(lambda found: str(value_at(variables, found[1])), text)
    except (KeyError, TypeError) as error:
        raise InputError(f"{text!r} names something that {paths.PARAMS} does not have", paths.PIPELINE) from error


def _mapping(text: str, place: str | Path) -> dict[str, Any]:
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise InputError(f"not valid YAML: {str(error).splitlines()[0]}", place) from error
    if not isinstance(document, dict):
        raise InputError("a mapping is expected", place)
    return document


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise InputError("no such file; run `dvc repro` in the project's root", path) from error
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", path) from error
