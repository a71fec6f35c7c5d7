"""The sync from a stage's files to a real SQLite store: a run's contents, logged exactly once."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clones import git
from factories import with_train
from tracking_project import Project, job

from lidr import paths
from lidr.errors import LidrError
from lidr.tracking import Job, StageRun, sync, time_kept
from lidr.tracking.describe import fingerprint
from lidr.tracking.hashes import dvc_hash

ROWS = '{"id":"a","lang":"es","score":1,"correct":true}\n{"id":"b","lang":"en","score":0.5,"detail":{"x":1}}\n'


def _train(project: Project, model: str = "m1") -> Job:
    """A stage with one output of each kind."""
    pairs = project.file(f"data/{model}/pairs/pairs.jsonl", ROWS)
    adapter = project.file(f"models/{model}/adapter.safetensors", f"weights of {model}").parent

    def log_to(run: StageRun) -> None:
        run.use_dataset(pairs, f"pairs {model}", "training", {"es": 1, "en": 1})
        for step in range(1, 4):
            run.log_metrics({"loss": 1 / step, "reward/es": step, "missing": None}, step=step)
        run.log_to_parent({"accuracy/es": 0.5}, step=1)
        run.describe_parent("# What m1 does better")
        run.log_artifact(adapter, "adapter")
        run.log_artifact(pairs)
        run.log_table(pairs, "tables/pairs.json")

    return job("train", model, [pairs.parent], [adapter], log_to)


def test_run_says_what_it_was(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "study-sft")
    project.file("models/m0/lidr.json", '{"fingerprint": "3f1c9a04b7d2"}')
    assert project.log(_train(project)) == ["train m1 · beta 0.1"]

    (child,), (parent,) = project.children(), project.parents()
    tags = child.data.tags
    assert child.info.run_name == "train m1 · beta 0.1"
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert tags["mlflow.parentRunId"] == parent.info.run_id
    assert tags["dvc.in.data/m1/pairs"] == dvc_hash(Path("data/m1/pairs"))
    assert tags["dvc.out.models/m1"] == dvc_hash(Path("models/m1"))
    expected = {"stage": "train", "model": "m1", "iteration": "1", "profile": "lab", "base": "3f1c9a04b7d2"}
    assert {name: tags[f"lidr.{name}"] for name in expected} == expected
    expected = {"train.dpo.beta": "0.1", "languages": '["es","de","fr","ru"]', "seed": "42", "train.accelerate": "null"}
    assert {name: child.data.params[name] for name in expected} == expected
    assert not any(name.startswith("mgsm.") for name in child.data.params)
    assert project.history(child.info.run_id, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert "missing" not in child.data.metrics

    assert parent.info.run_name == "study-sft · lab · beta 0.1 · 300 prompts"
    assert parent.data.tags["lidr.stage"] == "pipeline"
    assert parent.data.tags["mlflow.note.content"] == "# What m1 does better"
    assert parent.data.tags["lidr.pipeline"] == fingerprint(project.settings)
    assert parent.data.params["mgsm.items"] == str(project.settings.mgsm.items)
    assert project.history(parent.info.run_id, "accuracy/es") == [(1, 0.5)]
    experiment = project.client.get_experiment(child.info.experiment_id)
    assert (experiment.name, experiment.artifact_location) == ("lidr", str(project.root / "mlartifacts"))
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_datasets_artifacts_and_tables(project: Project) -> None:
    project.file("models/m1/.gitignore", "/adapter.safetensors")
    project.file("models/m1/checkpoint/state.json", "{}")
    project.log(_train(project))
    (child,) = project.children()
    (used,) = child.inputs.dataset_inputs
    dataset = used.dataset
    assert dataset.digest == dvc_hash(Path("data/m1/pairs/pairs.jsonl"))
    assert (dataset.name, json.loads(dataset.source)) == ("pairs m1", {"uri": "data/m1/pairs/pairs.jsonl"})
    assert json.loads(dataset.profile) == {"num_rows": 2, "rows": {"es": 1, "en": 1}}
    columns = {column["name"]: column["type"] for column in json.loads(dataset.schema)["mlflow_colspec"]}
    assert columns == {"id": "string", "lang": "string", "score": "long", "correct": "boolean"}
    assert {tag.key: tag.value for tag in used.tags} == {"mlflow.data.context": "training"}

    artifacts = Path(child.info.artifact_uri)
    assert sorted(str(file.relative_to(artifacts)) for file in artifacts.rglob("*") if file.is_file()) == [
        "adapter/m1/adapter.safetensors",
        "adapter/m1/checkpoint/state.json",
        "pairs.jsonl",
        "tables/pairs.json",
    ]
    assert json.loads(child.data.tags["mlflow.loggedArtifacts"]) == [{"path": "tables/pairs.json", "type": "table"}]
    table = json.loads((artifacts / "tables/pairs.json").read_text("utf-8"))
    assert table["columns"] == ["id", "lang", "score", "correct", "detail"]
    assert [row[2] for row in table["data"]] == [1, 0.5]


# ---- a run's duration


@pytest.mark.parametrize("is_from_cache", [False, True], ids=["made here", "from DVC's cache"])
def test_a_run_lasts_as_long_as_its_stage(project: Project, is_from_cache: bool) -> None:
    with time_kept(Path("models/m1")):
        time.sleep(0.2)
        made = _train(project)
    if is_from_cache:
        an_hour_later = time.time() + 3600
        os.utime("models/m1/adapter.safetensors", (an_hour_later, an_hour_later))
    project.log(made)
    (child,) = project.children()
    # A file's time may be some milliseconds behind the clock.
    lasted = child.info.end_time - child.info.start_time
    assert lasted == 0 if is_from_cache else 190 <= lasted < 60_000


def test_a_pipeline_that_is_logged_long_after_it_ran_does_not_end_before_it_began(project: Project) -> None:
    made = _train(project)
    os.utime("models/m1/adapter.safetensors", (1_700_000_000, 1_700_000_000))
    project.log(made)
    (parent,), (child,) = project.parents(), project.children()
    assert child.info.end_time == 1_700_000_000_000
    assert parent.info.end_time == parent.info.start_time > child.info.end_time


def test_a_stage_that_failed_has_no_time(project: Project) -> None:
    with pytest.raises(ZeroDivisionError), time_kept(Path("models/m1")):
        _ = 1 / 0
    assert not paths.times(Path("models/m1")).exists()


# ---- once


def test_a_result_is_logged_once_and_another_one_beside_it(project: Project) -> None:
    assert project.log(_train(project, "m1"), _train(project, "m2")) == ["train m1 · beta 0.1", "train m2 · beta 0.1"]
    # DVC writes this file once the stage has ended and logged itself.
    project.file("models/m1/.gitignore", "/adapter.safetensors")
    assert project.log(_train(project)) == []
    (parent,) = project.parents()
    # Both stages log the same headline value: `compare` repeats those of the evaluations.
    assert project.history(parent.info.run_id, "accuracy/es") == [(1, 0.5)]
    # The same settings and inputs, other bytes: as on another machine, or by another version of the code.
    again = _train(project)
    project.file("models/m1/adapter.safetensors", "other weights")
    assert project.log(again) == ["train m1 · beta 0.1"]
    assert len(project.children(parent)) == 3
    assert sync(with_train(project.settings, beta=0.2), [again]) == ["train m1 · beta 0.2"]
    assert [run.info.run_name for run in project.parents()] == [f"lab · beta {n} · 300 prompts" for n in (0.1, 0.2)]


def test_the_later_of_two_results_of_a_state_counts(project: Project) -> None:
    for value in (0.75, 0.25, 0.25):
        report = project.file("reports/compare/metrics.json", f'{{"es": {value}}}')
        log_to = partial(StageRun.log_to_parent, metrics={"accuracy/es": value}, step=1)
        project.log(job("compare", None, [], [report], log_to))
    (parent,) = project.parents()
    assert parent.data.metrics == {"accuracy/es": 0.25}
    assert project.history(parent.info.run_id, "accuracy/es") == [(1, 0.75), (1, 0.25)]


def test_fingerprint_follows_settings_pipeline_data_pointers_and_a_user_s_files(project: Project) -> None:
    seen = {fingerprint(project.settings), fingerprint(project.settings)}
    seen.add(fingerprint(msgspec.structs.replace(project.settings, seed=43)))
    for name in ("dvc.yaml", "data/sources/paper.dvc"):
        project.file(name, "outs: []\n")
        seen.add(fingerprint(project.settings))
    project.file("data/sources/paper/es.jsonl", "fetched by DVC")
    seen.add(fingerprint(project.settings))
    project.file(".dvc/cache/files/md5/00", "a stage's output")
    seen.add(fingerprint(project.settings))
    assert len(seen) == 4
    project.file("data/sources/mine/es.jsonl", "the user's")
    assert fingerprint(project.settings) not in seen


def _sync_in_process(folder: str, settings: Any, queue: Any) -> None:
    os.chdir(folder)
    project = Project(Path(folder), settings)
    queue.put(project.log(_train(project, "m1"), _train(project, "m2")))


def test_two_syncs_at_once(project: Project) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store"])  # imported once for both
    queue = context.Queue()
    arguments = (str(project.root), project.settings, queue)
    both = [context.Process(target=_sync_in_process, args=arguments) for _ in range(2)]
    for process in both:
        process.start()
    logged = sorted(name for _ in both for name in queue.get(timeout=600))
    for process in both:
        process.join()
    assert logged == ["train m1 · beta 0.1", "train m2 · beta 0.1"]
    assert len(project.children()) == 2 and len(project.parents()) == 1
    for child in project.children():
        assert project.history(child.info.run_id, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


# ---- what MLflow does not take, and errors


def test_batches_beyond_mlflows_limits(project: Project) -> None:
    def log_to(run: StageRun) -> None:
        for step in range(600):
            run.log_metrics({"loss": step / 7, "margin": -step}, step=step)

    project.log(job("train", "m1", log_to=log_to))
    (child,) = project.children()
    assert len(project.history(child.info.run_id, "loss")) == len(project.history(child.info.run_id, "margin")) == 600


def test_names_and_values_that_mlflow_does_not_take(project: Project) -> None:
    """MLflow's SQL store has no infinity: it stores the largest float."""
    values = {"nan": math.nan, "up": math.inf, "accuracy/zh-Hant": 1.0, "drops (all)": 2.0, "x" * 300: 3.0}
    long = "a folder with a very long name/" * 300
    mgsm = msgspec.structs.replace(project.settings.mgsm, source=long)
    project.settings = msgspec.structs.replace(project.settings, mgsm=mgsm)
    asked = job("mgsm", "m1", log_to=lambda run: run.log_metrics(values))
    assert [project.log(asked), project.log(asked)] == [["mgsm m1"], []]
    (child,) = project.children()
    assert long.startswith(child.data.params["mgsm.source"]) and len(child.data.params["mgsm.source"]) == 6000
    ((_, nan),) = project.history(child.info.run_id, "nan")
    found = child.data.metrics
    assert math.isnan(nan) and found["up"] > 1e308
    assert [found[name] for name in ("accuracy/zh-Hant", "drops _all_", "x" * 250)] == [1.0, 2.0, 3.0]


def test_an_error_of_our_own_is_not_reported_as_mlflows(project: Project) -> None:
    def log_to(run: StageRun) -> None:
        run.log_metrics({"loss": {"es": 0.5}["en"]})

    with pytest.raises(KeyError, match="en"):
        project.log(job("train", "m1", log_to=log_to))


def test_an_error_within_mlflow_is_mlflows_whatever_it_is(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mssql+pyodbc://127.0.0.1/runs")
    with pytest.raises(LidrError, match=r"^MLflow at mssql.* did not take all runs: No module named 'pyodbc'"):
        project.log(job("train", "m1"))


# ---- mlflow run


def test_run_of_mlflow_run_is_the_parent(project: Project) -> None:
    experiment = project.client.create_experiment("by hand", artifact_location=str(project.root / "elsewhere"))
    outer = project.client.create_run(experiment, run_name="sassy-toad-12").info.run_id
    project.client.log_param(outer, "iteration", "m1")
    project.client.set_tag(outer, "lidr.profile", "said by hand")
    project.log(_train(project, "m1"), outer=outer)
    (parent,) = project.parents()
    assert parent.info.status == "RUNNING"  # `mlflow run` ends it
    project.client.set_terminated(outer)
    project.log(_train(project, "m2"), outer=outer)
    (parent,) = project.parents()
    assert (parent.info.run_id, parent.info.status) == (outer, "FINISHED")
    assert parent.info.run_name == "lab · beta 0.1 · 300 prompts"
    assert (parent.data.params["iteration"], parent.data.params["train.dpo.beta"]) == ("m1", "0.1")
    assert parent.data.tags["lidr.profile"] == "said by hand"
    assert parent.data.metrics == {"accuracy/es": 0.5}
    for child in project.children():
        assert (child.data.tags["mlflow.parentRunId"], child.info.experiment_id) == (outer, experiment)
    # Runs of `mlflow run` count as logged, in any experiment.
    assert project.log(_train(project, "m1"), _train(project, "m2")) == []


def test_run_of_mlflow_run_that_is_in_another_store(project: Project) -> None:
    project.log(_train(project), outer="0" * 32)
    assert len(project.parents()) == 1


def test_git_state(project: Project) -> None:
    for name in ("dvc.lock", "data/.gitignore", "reports/mgsm/m1/metrics.json"):
        project.file(name, "old")
    git("init", "-q")
    git("add", "params.yaml", "dvc.lock", "data", "reports")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    # Outputs of stages do not make the tree dirty, or it would be from each pipeline's second stage on.
    for name in ("dvc.lock", "data/.gitignore", "reports/mgsm/m1/metrics.json"):
        project.file(name, "new")
    project.log(_train(project, "m1"))
    project.file("params.yaml", Path("params.yaml").read_text() + "# changed\n")
    project.log(_train(project, "m2"))
    states = [[run.data.tags[f"lidr.git.{name}"] for name in ("commit", "dirty")] for run in project.children()]
    assert states == [[commit, "no"], [commit, "yes"]]
