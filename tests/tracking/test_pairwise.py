"""Pairwise comparisons outside the pipeline in MLflow: their own run under the parent, and published baselines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import edited
from kept_verdicts import keep_verdicts
from refusal import done
from tracking_project import Project, job

from lidr import config, paths


def test_a_pairwise_comparison_is_a_run_with_figures_table_and_page(project: Project, tmp_path: Path) -> None:
    items = "alpaca:\n  source: lab\n  languages: {}\n  items: {}"
    change = (items.format("[en, es, de, fr, ru, it, pt]", 250), items.format("[en, es]", 4))
    Path("params.yaml").write_text(edited(change, ("  resamples:", "  resamples: 50")), "utf-8")
    keep_verdicts(config.load(), "m1", ["one"])
    keep_verdicts(config.load(), "m2", ["two"])
    done("alpaca", "m2", "--against", "m1")

    (run,), (parent,) = project.children(), project.parents()
    assert (run.info.run_name, run.info.status) == ("alpaca m2 against m1", "FINISHED")
    tags = run.data.tags
    assert tags["mlflow.parentRunId"] == parent.info.run_id
    assert (tags["lidr.model"], tags["lidr.against"], tags["lidr.iteration"]) == ("m2", "m1", "2")
    assert tags["mlflow.source.name"] == "lidr alpaca m2 --against m1"
    assert {name for name in tags if name.startswith("dvc.")} == {
        "dvc.in.reports/alpaca/m1/verdicts.jsonl",
        "dvc.in.reports/alpaca/m2/verdicts.jsonl",
        "dvc.out.reports/judged/m2-against-m1",
    }
    figures = json.loads((paths.judged("m2", "m1") / paths.METRICS).read_text("utf-8"))
    assert {f"{name}/{lang}": v for lang, by in figures.items() for name, v in by.items()} == run.data.metrics
    assert run.data.params["alpaca.judge.both_orders"] == "true"
    folder = Path(project.client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert (folder / "index.html").read_bytes() == (paths.judged("m2", "m1") / paths.PAGE).read_bytes()
    table = json.loads((folder / "verdicts.json").read_text("utf-8"))
    assert len(table["data"]) == 8
    assert project.history(parent.info.run_id, "win_rate/es") == []


@pytest.mark.parametrize("generator", ["gpt-4-turbo-2024-04-09", "org/model-1"])
def test_a_published_generator_is_of_no_iteration(project: Project, generator: str) -> None:
    project.log(job("baseline", generator))
    (run,) = project.children()
    assert run.data.tags["lidr.model"] == generator
    assert "lidr.iteration" not in run.data.tags
