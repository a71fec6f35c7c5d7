"""Stages that log while they run: watched, failed, killed, and without a server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from tracking_project import Project, job

from lidr import config
from lidr.errors import InputError, LidrError
from lidr.tracking import Job, StageRun, live_run

PATIENCE = 300.0  # seconds, for a busy machine


def _train(project: Project) -> Job:
    adapter = project.file("models/m1/adapter.safetensors", "weights").parent

    def log_to(run: StageRun) -> None:
        for step in range(1, 4):
            run.log_metrics({"loss": 1 / step}, step)
        run.log_artifact(adapter)

    return job("train", "m1", [], [adapter], log_to)


def test_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIDR_TRACKING", "off")
    with live_run(project.settings, _train(project), None) as live:
        live.log({"loss": 1.0}, 1)
    assert not Path(".lidr").exists() and not project.runs()


def test_the_curve_can_be_watched_and_is_completed_from_the_files(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    train = _train(project)
    with live_run(project.settings, train, None) as live:
        live.log({"loss": 1.0, "tokens_per_second": 9.0}, 1)
        (child,) = project.children()
        assert (child.info.status, child.data.metrics["loss"]) == ("RUNNING", 1.0)
        # A concurrent sync does not touch a running stage.
        project.log()
        assert [run.info.status for run in project.children()] == ["RUNNING"]
        live.log({"loss": 0.5}, 2)
        live.tag("lidr.rows", "padded: no packing here")
    assert project.log(train) == ["train m1 · beta 0.1"]
    assert project.log(train) == []
    (child,), (parent,) = project.children(), project.parents()
    assert project.history(child.info.run_id, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert project.history(child.info.run_id, "tokens_per_second") == [(1, 9.0)]
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert child.data.tags["dvc.out.models/m1"]
    assert child.data.tags["lidr.rows"] == "padded: no packing here"
    assert capfd.readouterr() == ("", "")  # no output of MLflow, nor of its store's migrations
    with live_run(project.settings, train, None) as live:
        live.log({"loss": 1.0}, 1)
    assert project.log(train) == []
    assert [run.info.status for run in project.runs()] == ["FINISHED"] * 3
    for run in project.children():
        project.client.delete_run(run.info.run_id)
    assert project.log(train) == ["train m1 · beta 0.1"]


def test_a_stage_that_fails_ends_as_failed(project: Project) -> None:
    with (
        pytest.raises(InputError, match="no such row"),
        live_run(project.settings, _train(project), None) as live,
    ):
        live.log({"loss": 1.0}, 1)
        raise InputError("no such row\nin http://ada:sekret@host")
    (child,) = project.children()
    assert (child.info.status, child.data.metrics) == ("FAILED", {"loss": 1.0})
    assert child.data.tags["lidr.error"] == "no such row in http://***@host"
    assert [parent.info.status for parent in project.parents()] == ["FAILED"]
    assert not any(name.startswith("dvc.out.") for name in child.data.tags)


def test_a_stage_of_mlflow_run_is_watched_under_its_run(project: Project) -> None:
    experiment = project.client.create_experiment("by hand", artifact_location=str(project.root / "elsewhere"))
    outer = project.client.create_run(experiment).info.run_id
    with live_run(project.settings, _train(project), outer) as live:
        live.log({"loss": 1.0}, 1)
    (child,) = project.children()
    assert (child.data.tags["mlflow.parentRunId"], child.info.experiment_id) == (outer, experiment)
    assert (child.info.status, child.data.metrics) == ("FINISHED", {"loss": 1.0})
    assert project.log(_train(project), outer=outer) == ["train m1 · beta 0.1"]
    assert [run.info.run_id for run in project.children()] == [child.info.run_id]


@pytest.mark.fault
def test_a_stage_that_is_killed_goes_on_in_its_run(project: Project) -> None:
    script = project.file(
        "stage.py",
        "import time\n"
        "from lidr import config\n"
        "from lidr.tracking import Job, live_run\n"
        "job = Job(stage='train', model='m1', inputs=(), outputs=(), log_to=print)\n"
        "with live_run(config.load(), job, None) as live:\n"
        "    live.log({'loss': 1.0}, 1)\n"
        "    print('working', flush=True)\n"
        "    time.sleep(600)\n",
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ}) as stage:
        assert stage.stdout and stage.stdout.readline() == b"working\n"
        stage.send_signal(signal.SIGKILL)
    (killed,) = project.children()
    train, project.settings = _train(project), config.load()
    with live_run(project.settings, train, None) as live:
        live.log({"loss": 0.5}, 2)
    project.log(train)
    (child,) = project.children()
    assert (child.info.run_id, child.info.status) == (killed.info.run_id, "FINISHED")
    assert project.history(child.info.run_id, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


@pytest.mark.fault
@pytest.mark.parametrize("is_silent", [False, True], ids=["refuses", "never answers"])
def test_unreachable_server_costs_a_line_and_nothing_else(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], is_silent: bool
) -> None:
    """A silent one takes connections and does not answer, like a proxy whose server hangs."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    train = _train(project)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if is_silent:
            server.listen(64)
        port = server.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:secret@127.0.0.1:{port}")
        begun = time.monotonic()
        with live_run(project.settings, train, None) as live:
            live.log({"loss": 1.0}, 1)
        assert time.monotonic() - begun < 2 + 10
        (warning,) = capfd.readouterr().err.splitlines()
        assert warning.startswith(f"MLflow at http://***@127.0.0.1:{port} does not take the run live: ")
        assert warning.endswith("; nothing is lost: `lidr track` logs it later")
        with pytest.raises(LidrError, match=rf"MLflow at http://\*\*\*@127.0.0.1:{port} did not take all runs: "):
            project.log(train)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert project.log(train) == ["train m1 · beta 0.1"]
    (child,) = project.children()
    assert project.history(child.info.run_id, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


@pytest.mark.fault
def test_a_run_whose_end_mlflow_missed_is_adopted(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """The server becomes unavailable in the middle: the same run gets the rest, instead of a second one."""
    train = _train(project)
    with live_run(project.settings, train, None) as live, pytest.MonkeyPatch.context() as away:
        live.log({"loss": 1.0}, 1)
        away.setattr("mlflow.MlflowClient.log_batch", _refused)
        live.log({"loss": 0.5}, 2)
        live.log({"loss": 0.4}, 3)
    assert len(capfd.readouterr().err.splitlines()) == 1
    (opened,) = project.children()
    assert project.log(train) == ["train m1 · beta 0.1"]
    (child,) = project.children()
    assert child.info.run_id == opened.info.run_id
    assert project.history(child.info.run_id, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert child.info.status == "FINISHED"


def _refused(*args: object, **kwargs: object) -> None:
    raise ConnectionRefusedError(111, "Connection refused")


def test_system_metrics_by_a_param(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    tracking = msgspec.structs.replace(project.settings.tracking, system_metrics=True)
    settings = msgspec.structs.replace(project.settings, tracking=tracking)
    with live_run(settings, job("generate", "m1"), None):
        deadline = time.monotonic() + PATIENCE
        while not any("system/cpu_utilization_percentage" in run.data.metrics for run in project.children()):
            assert time.monotonic() < deadline
            time.sleep(0.2)
