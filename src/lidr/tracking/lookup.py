"""The way back from MLflow: runs by what they were made from, a run by its id, a registered model by its name.

>>> [run.name for run in runs_tagged({"lidr.stage": "train", "dvc.in.data/m1/pairs": "5f4d....dir"})]
['train m1 · beta 0.02']
>>> find_run("models:/lidr-es/3").tags["dvc.out.models/m2"]
'1b2c....dir'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from lidr.errors import LidrError
from lidr.tracking import connection
from lidr.tracking.parents import PARENT_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_OLDEST_FIRST = "start_time ASC"
_MODEL = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")


class FoundRun(Struct, frozen=True, kw_only=True):
    """One run as MLflow has it; `children` are a pipeline's stages in their order."""

    id: str
    name: str
    status: str
    tags: dict[str, str]
    children: tuple[FoundRun, ...] = ()


def runs_tagged(tags: Mapping[str, str]) -> list[FoundRun]:
    """All runs with these tags, the oldest first; raises LidrError where there is no store to ask."""
    condition = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    with connection.opened() as client:
        return [_found(run) for run in connection.search(client, condition, _OLDEST_FIRST)]


def find_run(name: str) -> FoundRun:
    """A run by its id, or the run of a registered model by `models:/NAME/VERSION` or `models:/NAME@ALIAS`."""
    with connection.opened() as client:
        run = client.get_run(_run_id(client, name))
        stages = connection.search(client, f"tags.`{PARENT_TAG}` = '{run.info.run_id}'", _OLDEST_FIRST)
        return _found(run, tuple(_found(stage) for stage in stages))


def _run_id(client: MlflowClient, name: str) -> str:
    if not name.startswith("models:"):
        return name
    found = _MODEL.fullmatch(name)
    if not found:
        raise LidrError(f"{name!r} is no registered model; 'models:/NAME/VERSION' or 'models:/NAME@ALIAS' is expected")
    if found["alias"]:
        version = client.get_model_version_by_alias(found["name"], found["alias"])
    else:
        version = client.get_model_version(found["name"], found["version"])
    if not version.run_id:
        raise LidrError(f"{name}: this version was registered without a run")
    return version.run_id


def _found(run: Run, children: tuple[FoundRun, ...] = ()) -> FoundRun:
    name, tags = run.info.run_name or "", dict(run.data.tags)
    return FoundRun(id=run.info.run_id, name=name, status=run.info.status, tags=tags, children=children)
