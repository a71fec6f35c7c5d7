"""Runs on a tracking server with a PostgreSQL store: two writers, and a server that stops or never answers."""

from __future__ import annotations

import importlib.util
import multiprocessing
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import PATIENCE, PostgreSQL, TrackingServer, postgresql_binaries
from tracking_project import Project, job

from lidr.errors import LidrError
from lidr.tracking import Job, StageRun, live_run, promote
from lidr.tracking.hashes import dvc_hash

BINARIES = postgresql_binaries()

pytestmark = [
    pytest.mark.skipif(BINARIES is None, reason="no PostgreSQL (Debian's package `postgresql`)"),
    pytest.mark.skipif(importlib.util.find_spec("psycopg2") is None, reason="no psycopg2 (the extra `dev`)"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    # Not pytest's folder, to which the database's user has no access.
    folder = Path(tempfile.mkdtemp(prefix="lidr-postgresql-"))
    assert BINARIES
    database = PostgreSQL(BINARIES, folder)
    server = TrackingServer(database.uri, tmp_path_factory.mktemp("artifacts"))
    try:
        server.start()
        yield server
    finally:
        server.kill()
        database.stop()
        shutil.rmtree(folder)


@pytest.fixture
def server(running: TrackingServer, project: Project, monkeypatch: pytest.MonkeyPatch) -> TrackingServer:
    """The server, with an experiment of the test's own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running.uri)
    return running


def _experiment(project: Project, name: str) -> None:
    import msgspec

    tracking = msgspec.structs.replace(project.settings.tracking, experiment=name)
    project.settings = msgspec.structs.replace(project.settings, tracking=tracking)


def _train(project: Project, model: str) -> Job:
    """A training with a model and 600 points of a curve."""
    adapter = project.file(f"models/{model}/adapter_model.safetensors", f"weights of {model}").parent
    project.file(f"models/{model}/lidr.json", '{"base": "3f1c", "reference": "9a04", "pairs": "b7d2"}')

    def log_to(run: StageRun) -> None:
        for step in range(600):
            run.log_metrics({"loss": step / 7}, step=step)
        run.log_to_parent({"accuracy/es": 0.5}, step=1)
        run.log_model(adapter, "adapter", upload=True)

    return job("train", model, [], [adapter], log_to)


def _sync(folder: str, settings: Any, model: str, begin: Any, queue: Any) -> None:
    import os

    os.chdir(folder)
    project = Project(Path(folder), settings)
    train = _train(project, model)
    begin.wait()
    queue.put(project.log(train))


def test_two_machines_write_at_once(server: TrackingServer, project: Project) -> None:
    """Two checkouts of one pipeline without a shared lock: one experiment, one parent, each run and model once."""
    _experiment(project, "two machines")
    here, there = project.root, project.root.parent / "there"
    shutil.copytree(here, there)
    context = multiprocessing.get_context("spawn")
    begin, queue = context.Barrier(2), context.Queue()
    machines = ((here, "m1"), (there, "m2"))
    arguments = [(str(folder), project.settings, model, begin, queue) for folder, model in machines]
    both = [context.Process(target=_sync, args=one) for one in arguments]
    for process in both:
        process.start()
    logged = [name for _ in both for name in queue.get(timeout=PATIENCE)]
    for process in both:
        process.join()
    assert sorted(logged) == ["train m1 · beta 0.1", "train m2 · beta 0.1"]
    runs = [run for run in project.runs() if run.data.params.get("seed") == "42"]
    experiment = project.client.get_experiment_by_name("two machines")
    (parent,) = [run for run in project.parents() if run.info.experiment_id == experiment.experiment_id]
    children = [run for run in project.children() if run.info.experiment_id == experiment.experiment_id]
    assert len(children) == 2 and {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert len([run for run in runs if run.info.experiment_id == experiment.experiment_id]) == 3
    for child in children:
        assert project.history(child.info.run_id, "loss") == [(step, step / 7) for step in range(600)]
    assert project.history(parent.info.run_id, "accuracy/es") == [(1, 0.5)]
    models = project.client.search_logged_models([experiment.experiment_id])
    assert sorted(model.name for model in models) == ["m1", "m2"]
    # Only the server knows where artifacts are.
    files = [path.read_text() for path in server.artifacts.rglob("adapter_model.safetensors")]
    assert {"weights of m1", "weights of m2"} <= set(files)


def test_server_that_is_killed_between_two_log_calls(
    server: TrackingServer, project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    _experiment(project, "killed")
    report = project.file("reports/page.html", "<p>hello</p>")

    def log_to(run: StageRun) -> None:
        run.log_metrics({"loss": 1.0}, 1)
        run.log_metrics({"loss": 0.5}, 2)
        run.log_artifact(report)

    train = job("train", "m1", [], [report], log_to)
    with live_run(project.settings, train, None) as live:
        live.log({"loss": 1.0}, 1)
        server.kill()
        live.log({"loss": 0.5}, 2)
    (warning,) = capfd.readouterr().err.splitlines()
    assert warning.startswith(f"MLflow at {server.uri} does not take the run live: ")
    assert warning.endswith("; nothing is lost: `lidr track` logs it later")
    with pytest.raises(LidrError, match="did not take all runs"):
        project.log(train)

    server.start()
    assert project.log(train) == ("train m1 · beta 0.1",)
    assert project.log(train) == ()
    (child,) = _children(project, "killed")
    assert project.history(child.info.run_id, "loss") == [(1, 1.0), (2, 0.5)]
    assert child.info.status == "FINISHED"
    assert [item.path for item in project.client.list_artifacts(child.info.run_id)] == ["page.html"]


def test_server_that_never_answers_holds_a_stage_no_longer_than_it_says(
    server: TrackingServer, project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It accepts connections and never answers, like a proxy whose server hangs."""
    _experiment(project, "silent")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    train = job("train", "m1", log_to=lambda run: run.log_metrics({"loss": 0.5}, 1))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        taken: list[socket.socket] = []
        threading.Thread(target=_take_all, args=(silent, taken), daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        with live_run(project.settings, train, None) as live:
            live.log({"loss": 0.5}, 1)
        assert time.monotonic() - begun < 2 + 10
    assert "does not take the run live" in capfd.readouterr().err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert project.log(train) == ("train m1 · beta 0.1",)
    (child,) = _children(project, "silent")
    assert project.history(child.info.run_id, "loss") == [(1, 0.5)]


def test_promoted_model_is_in_the_servers_registry(server: TrackingServer, project: Project) -> None:
    _experiment(project, "registry")
    train = _train(project, "m1")
    project.log(train)
    (adapter,) = train.outputs
    promoted = promote(project.settings, "m1", "better")
    assert (promoted.name, str(promoted.version)) == ("registry-lab", "1")
    version = project.client.get_model_version_by_alias("registry-lab", "best")
    assert version.tags["dvc.md5"] == dvc_hash(adapter)
    (child,) = _children(project, "registry")
    assert version.run_id == child.info.run_id


def _children(project: Project, experiment: str) -> list[Any]:
    found = project.client.get_experiment_by_name(experiment)
    return [run for run in project.children() if found and run.info.experiment_id == found.experiment_id]


def _take_all(listening: socket.socket, taken: list[socket.socket]) -> None:
    try:
        while True:
            taken.append(listening.accept()[0])
    except OSError:  # closed
        return
