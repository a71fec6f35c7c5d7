"""MLproject: an entry point per stage, whose runs nest under MLflow's run."""

from __future__ import annotations

from ruamel.yaml import YAML
from tracking_project import ROOT

# The parameter of the stages that have one.
PARAMETERS = {
    **dict.fromkeys(("prompts", "generate", "score", "translate"), "data"),
    **dict.fromkeys(("pairs", "train", "audit"), "iteration"),
    **dict.fromkeys(("mgsm", "alpaca", "harness"), "model"),
}


def test_every_stage_has_an_entry_point() -> None:
    from mlflow.projects._project_spec import load_project

    project = load_project(str(ROOT))
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    assert set(project._entry_points) == {"main", *stages} and set(PARAMETERS) < set(stages)
    assert project.get_entry_point("main").compute_command({}, None) == "dvc repro"
    for stage in stages:
        point, name = project.get_entry_point(stage), PARAMETERS.get(stage)
        assert {key: parameter.type for key, parameter in point.parameters.items()} == (
            {name: "string"} if name else {}
        )
        assert point.compute_command({}, None) == (f"lidr {stage} m1" if name else f"lidr {stage}")
        if name:
            assert point.compute_command({name: "m2"}, None) == f"lidr {stage} m2"
