"""dvc.yaml: dependencies other than code, DVC's metrics and plots; and MLproject, which has the same stages."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clones import run
from factories import ROOT, edited, own_prompts, prompt
from test_architecture import stages

from lidr import config, paths
from lidr.cli import runs
from lidr.compare.stage import COLUMNS
from lidr.config import reading
from lidr.evaluation.registry import benchmarks
from lidr.records.jsonl import write_rows

# The stages that read a user's files.
READERS = {"prompts", "translate", "score", "audit", "mgsm", "baseline", "alpaca", "harness"}


def names(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        yield from entry if isinstance(entry, dict) else [entry]


def test_stages_depend_on_the_files_that_they_read() -> None:
    assert {name for name, stage in stages().items() if "data/sources" in stage.get("deps", [])} == READERS
    assert [name for name, stage in stages().items() if "${baseline.source}" in stage.get("deps", [])] == ["baseline"]


def test_keys_that_it_names_must_be_in_params_yaml() -> None:
    """Those of `params:` and of templates; templated keys are of iterations and data, which have no defaults."""
    text = (ROOT / "dvc.yaml").read_text("utf-8")
    named = {name for stage in stages().values() for name in stage.get("params", []) if "$" not in name}
    named |= set(re.findall(r"\$\{(?!key|item)([\w.]+)\}", text))
    assert named == {".".join(place) for place in reading.named_in_dvc_yaml()}


def test_mlflow_is_told_of_the_data_that_dvc_depends_on(project_settings: config.Settings) -> None:
    """And of all outputs, or their folders. Of folders that `compare` depends on, it is told of those of the models."""
    jobs = {job.stage: job for job in runs.jobs_of(project_settings)}  # the last job of each stage: m2's
    for name, stage in stages().items():
        job = jobs[name]
        values = {"${key}": "m2", "${item}": "m2", "${item.data}": "m2", "${item.previous}": "m1", "${item.by}": "m1"}
        values |= {"${baseline.source}": project_settings.baseline.source}
        data = [each for each in stage["deps"] if not each.startswith(("src/", "profiles/"))]
        listed = {Path(replaced(each, values)) for each in data}
        # For the baseline, DVC has its only file, MLflow its folder.
        listed = {each.parent if each.name == paths.ANSWERS else each for each in listed}
        assert set(job.inputs) == listed or name == "compare", name
        for kind in ("outs", "metrics", "plots"):
            for out in names(stage.get(kind, [])):
                path = Path(replaced(out, values))
                assert any(path.is_relative_to(output) for output in job.outputs) or name == "base", path


def replaced(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def test_figures_and_their_columns_are_plots() -> None:
    compare = stages()["compare"]
    assert list(names(compare["metrics"])) == ["reports/compare/metrics.json"]
    plots = {name: options for entry in compare["plots"] for name, options in entry.items()}
    measured = {benchmark.name for benchmark in benchmarks()}
    assert set(plots) == {f"reports/compare/{name}.{kind}" for kind in ("svg", "csv") for name in measured}
    assert {f"reports/{name}" for name in measured} <= set(compare["deps"])
    assert measured <= set(compare["params"])
    for name, options in plots.items():
        if name.endswith(".csv"):
            assert {options["x"], options["y"]} <= set(COLUMNS)


def test_every_stage_is_an_entry_point_of_mlflow_run() -> None:
    from mlflow.projects._project_spec import load_project

    project = load_project(str(ROOT))
    assert set(project._entry_points) == {"main", *stages()}
    assert project.get_entry_point("main").compute_command({}, None) == "dvc repro"
    for stage, described in stages().items():
        point, takes_a_name = project.get_entry_point(stage), len(described["cmd"].split()) == 3
        assert [parameter.type for parameter in point.parameters.values()] == ["string"] * takes_a_name
        assert point.compute_command({}, None) == f"lidr {stage}" + " m1" * takes_a_name
        if takes_a_name:
            assert point.compute_command(dict.fromkeys(point.parameters, "m2"), None) == f"lidr {stage} m2"


def dvc(*arguments: str) -> str:
    return run("dvc", *arguments, cwd=Path.cwd(), LIDR_TRACKING="off")


@pytest.fixture
def project(root: Path) -> Path:
    """A DVC project whose prompts come from a folder, with one prompt per language."""
    source = Path("data/sources/own")
    (root / "params.yaml").write_text(edited(own_prompts(source), ("  per_iteration:", "  per_iteration: 1")), "utf-8")
    shutil.copyfile(ROOT / "dvc.yaml", root / "dvc.yaml")
    (root / "src").symlink_to(ROOT / "src")
    for lang in config.load().all_languages:
        write_rows(root / source / f"{lang}.jsonl", [prompt("a", lang)])
    dvc("init", "--quiet", "--no-scm")
    return root / source


def test_another_source_file_makes_the_stage_out_of_date(project: Path) -> None:
    dvc("repro", "--quiet", "--single-item", "prompts@m1")
    assert json.loads(dvc("status", "--json", "prompts@m1")) == {}
    write_rows(project / "es.jsonl", [prompt("a", "es", "¿y ahora?")])
    status = json.loads(dvc("status", "--json", "prompts@m1"))
    assert status == {"prompts@m1": [{"changed deps": {"data/sources": "modified"}}]}
    dvc("repro", "--quiet", "--single-item", "prompts@m1")
    assert "¿y ahora?" in paths.prompt_file("m1", "es").read_text("utf-8")
