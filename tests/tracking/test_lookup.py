"""Lookups in MLflow: runs by their data, a run by its id, a registered model, and the commands of `trace`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from clones import git
from refusal import done
from tracking_project import Project, job

from lidr.errors import LidrError
from lidr.tracking import find_run, runs_tagged
from lidr.tracking.hashes import dvc_hash

LOCK = """schema: '2.0'
stages:
  pairs@m1:
    cmd: lidr pairs m1
    outs:
    - path: data/m1/pairs
      hash: md5
      md5: {}
"""
PIPELINE = """stages:
  pairs:
    foreach: [m1]
    do:
      cmd: lidr pairs ${item}
      outs: ['data/${item}/pairs']
"""


def train(project: Project, rows: str) -> str:
    """A run of `train` on these rows; returns their hash."""
    pairs = project.file("data/m1/pairs/pairs.jsonl", rows).parent
    model = project.file("models/m1/adapter.safetensors", f"made from {rows}").parent
    project.log(job("train", "m1", [pairs], [model]))
    return dvc_hash(pairs)


def test_a_run_a_pipeline_and_a_registered_model_lead_to_the_same_data(project: Project) -> None:
    md5, other = train(project, "one\n"), train(project, "two\n")
    (child, second), (parent,) = project.children(), project.parents()
    for digest, expected in ((md5, [child.info.run_id]), (other, [second.info.run_id]), ("0" * 32, [])):
        found = runs_tagged({"lidr.stage": "train", "dvc.in.data/m1/pairs": digest})
        assert [run.info.run_id for run in found] == expected
    assert find_run(child.info.run_id)[0].data.tags["dvc.in.data/m1/pairs"] == md5
    assert [run.info.run_id for run in find_run(parent.info.run_id)] == [
        parent.info.run_id,
        child.info.run_id,
        second.info.run_id,
    ]

    project.client.create_registered_model("lidr-es")
    version = project.client.create_model_version("lidr-es", source="models/m1", run_id=child.info.run_id)
    project.client.set_registered_model_alias("lidr-es", "best", version.version)
    assert find_run(f"models:/lidr-es/{version.version}")[0].info.run_id == child.info.run_id
    assert find_run("models:/lidr-es@best")[0].info.run_id == child.info.run_id
    for name, message in (
        ("models:lidr-es", "MLflow at sqlite:///.*Not a proper models:/ URI"),
        ("models:/lidr-es/9", "MLflow at sqlite:///.*9"),
        ("0" * 32, "MLflow at sqlite:///.*" + "0" * 32),
    ):
        with pytest.raises(LidrError, match=message):
            find_run(name)


def test_trace_says_what_brings_the_data_back(project: Project) -> None:
    git("init", "-q")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    project.file("code.py", "")
    project.file("dvc.yaml", PIPELINE)
    git("add", "code.py", "params.yaml", "dvc.yaml")
    git("commit", "-qm", "Code")
    code = git("rev-parse", "HEAD")
    md5 = train(project, "one\n")
    project.file("dvc.lock", LOCK.format(md5))
    git("add", "dvc.lock")
    git("commit", "-qm", "Data")
    data = git("rev-parse", "HEAD")
    project.file("dvc.lock", LOCK.format("0" * 32))
    git("commit", "-qam", "Other data")
    project.file("data/m1/pairs/pairs.jsonl", "two\n")
    (child,) = project.children()

    model = dvc_hash(Path("models/m1"))
    assert done("audit", "trace", child.info.run_id).splitlines() == [
        f"train m1 · beta 0.1 ({child.info.run_id}), FINISHED",
        f"  code: commit {code}, as it is there",
        f"  in   data/m1/pairs {md5} · here: another one · recorded by commit {data[:12]}",
        f"  out  models/m1 {model} · here: the same · in no commit's dvc.lock",
        "To have all of it again:",
        f"  git checkout {code}",
        f"  dvc get . data/m1/pairs --rev {data} --out restored/data/m1/pairs",
    ]


def test_track_names_the_stages_that_it_leaves_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [job("prompts", "m1", [], [project.file("out.txt", "x")]), job("train", "m1"), job("compare")]
    monkeypatch.setattr("lidr.cli.runs.jobs_of", lambda settings: iter(stages))
    place = f"MLflow at sqlite:///{project.root}/mlflow.db has"
    remedy = "run `dvc repro` or `dvc checkout`"
    for unchanged, said in (
        ({"prompts@m1"}, f"{place} 1 of 3 stages; not up to date, so not logged: train@m1, compare; {remedy}"),
        ({"prompts@m1", "train@m1", "compare"}, f"{place} all runs"),
    ):
        monkeypatch.setattr("lidr.audit.provenance.state.unchanged", lambda without, found=unchanged: found)
        assert done("track").splitlines()[-1] == said
    assert [run.data.tags["lidr.stage"] for run in project.children()] == ["prompts", "train", "compare"]


def test_without_a_store_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(LidrError, match=r"no MLflow store at sqlite:////.*mlflow\.db"):
        runs_tagged({"lidr.stage": "train"})
    assert not Path("mlflow.db").exists()
