"""MLproject: an entry point for each stage, whose runs nest under the run that MLflow makes."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML
from tracking_project import ROOT

BY_PARAMETER = {
    "data": ("prompts", "generate", "score", "translate"),
    "iteration": ("pairs", "train", "audit"),
    "model": ("mgsm", "alpaca", "harness"),
}
PARAMETERS = [(stage, name) for name, stages in BY_PARAMETER.items() for stage in stages]
WHOLE = ("base", "baseline", "compare")


def _load() -> Any:
    from mlflow.projects._project_spec import load_project

    return load_project(str(ROOT))


def test_every_stage_has_an_entry_point() -> None:
    project = _load()
    assert set(project._entry_points) == {"main", *(stage for stage, _ in PARAMETERS), *WHOLE}
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    assert set(project._entry_points) == {"main", *stages}


@pytest.mark.parametrize(("stage", "name"), PARAMETERS)
def test_stage_with_a_parameter(stage: str, name: str) -> None:
    point = _load().get_entry_point(stage)
    assert list(point.parameters) == [name]
    assert point.parameters[name].type == "string"
    assert point.compute_command({}, None) == f"lidr {stage} m1"
    assert point.compute_command({name: "m2"}, None) == f"lidr {stage} m2"


@pytest.mark.parametrize("stage", WHOLE)
def test_stage_without_one(stage: str) -> None:
    assert _load().get_entry_point(stage).compute_command({}, None) == f"lidr {stage}"


def test_main_is_the_pipeline() -> None:
    assert _load().get_entry_point("main").compute_command({}, None) == "dvc repro"
