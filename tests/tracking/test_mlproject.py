"""MLproject: an entry point for each stage, whose runs nest under the run that MLflow makes."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML
from tracking_project import ROOT

BY_ITERATION = ("prompts", "generate", "score", "translate", "pairs", "train", "audit")
BY_MODEL = ("mgsm", "alpaca", "harness")
WHOLE = ("base", "baseline", "compare")


def _load() -> Any:
    from mlflow.projects._project_spec import load_project

    return load_project(str(ROOT))


def test_every_stage_has_an_entry_point() -> None:
    project = _load()
    assert set(project._entry_points) == {"main", *BY_ITERATION, *BY_MODEL, *WHOLE}
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    assert set(project._entry_points) == {"main", *stages}


@pytest.mark.parametrize("stage", BY_ITERATION + BY_MODEL)
def test_stage_with_a_parameter(stage: str) -> None:
    point = _load().get_entry_point(stage)
    (name,) = point.parameters
    assert name == ("model" if stage in BY_MODEL else "iteration")
    assert point.parameters[name].type == "string"
    assert point.compute_command({}, None) == f"lidr {stage} m1"
    assert point.compute_command({name: "m2"}, None) == f"lidr {stage} m2"


@pytest.mark.parametrize("stage", WHOLE)
def test_stage_without_one(stage: str) -> None:
    assert _load().get_entry_point(stage).compute_command({}, None) == f"lidr {stage}"


def test_main_is_the_pipeline() -> None:
    assert _load().get_entry_point("main").compute_command({}, None) == "dvc repro"
