"""A stage and its publisher's process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tracking_project import Project

from lidr.errors import InputError
from lidr.tracking import publish_pending, stage_run

PATIENCE = 300.0  # seconds, for a machine that has much else to do


def test_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIDR_TRACKING", "off")
    with stage_run(project.settings, "train", "m1", [Path("missing")], []) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_to_parent({"accuracy": 1.0}, 1)
        run.use_dataset(Path("missing"), "x", "training", {})
        run.log_artifact(Path("missing"))
        run.log_table(Path("missing"), "x.json")
    assert not Path(".lidr").exists()


def test_later_starts_nothing_and_the_next_stage_publishes_it(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    begun = time.process_time()
    with stage_run(project.settings, "prompts", "m1", [], [], publish="later") as run:
        run.log_metrics({"prompts": 300})
    assert time.process_time() - begun < 1
    assert len(project.journals()) == 1 and not project.runs()

    with stage_run(project.settings, "train", "m1", [], []) as run:
        for step in range(3):
            run.log_metrics({"loss": 1.0 - step / 10}, step=step)
        # The curve can be watched while the stage is at work.
        deadline = time.monotonic() + PATIENCE
        while not (len(project.children()) == 2 and "loss" in project.children()[1].data.metrics):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert [child.info.status for child in project.children()] == ["FINISHED", "RUNNING"]
        run.log_metrics({"loss": 0.5}, step=3)
    prompts, train = project.children()
    assert (prompts.info.run_name, train.info.run_name) == ("prompts m1", "train m1 · beta 0.1")
    assert project.history(train.info.run_id, "loss") == [(0, 1.0), (1, 0.9), (2, 0.8), (3, 0.5)]
    assert (train.info.status, project.parents()[0].info.status) == ("FINISHED", "FINISHED")
    assert not project.journals()
    assert capfd.readouterr() == ("", "")  # nothing from MLflow, nothing from its store's migrations
    assert (project.root / ".lidr/journals/publisher.log").read_text() == ""


def test_a_short_stage_of_dvc_repro_leaves_its_journal_to_the_next(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", "mgsm@m1")
    with stage_run(project.settings, "mgsm", "m1", [], [], publish="if_long"):
        pass
    assert len(project.journals()) == 1 and not project.runs()


def test_a_long_stage_of_dvc_repro_can_be_watched(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "mgsm@m1")
    monkeypatch.setattr("lidr.tracking.stage._LONG", 0.1)
    with stage_run(project.settings, "mgsm", "m1", [], [], publish="if_long"):
        deadline = time.monotonic() + PATIENCE
        while not project.runs():
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert [child.info.status for child in project.children()] == ["FINISHED"]


def test_by_hand_a_stage_is_published_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    with stage_run(project.settings, "mgsm", "m1", [], [], publish="if_long"):
        pass
    assert not project.journals() and len(project.children()) == 1


@pytest.mark.fault
def test_unreachable_server_costs_a_warning_and_nothing_else(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:secret@127.0.0.1:{port}")
    with stage_run(project.settings, "mgsm", "m1", [], []) as run:
        run.log_metrics({"accuracy/es": 0.5}, step=1)
        run.log_to_parent({"accuracy/es": 0.5}, step=1)
    (warning,) = capfd.readouterr().err.splitlines()
    assert warning.startswith(f"MLflow at http://***@127.0.0.1:{port} did not take the run: ")
    assert warning.endswith("; nothing is lost: `lidr track` logs it later")
    assert "secret" not in warning

    report = publish_pending()
    assert report.reason and report.waiting == (project.journals()[0].name,)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert publish_pending().published == ("mgsm m1",)
    assert publish_pending().published == ()
    (child,), (parent,) = project.children(), project.parents()
    assert project.history(child.info.run_id, "accuracy/es") == [(1, 0.5)]
    assert project.history(parent.info.run_id, "accuracy/es") == [(1, 0.5)]


@pytest.mark.fault
def test_publisher_that_is_late_is_not_left_running(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIDR_TRACKING_WAIT", "0.2")
    with stage_run(project.settings, "mgsm", "m1", [], []):
        pass
    assert "did not take the run: not done after 0.2 s (LIDR_TRACKING_WAIT)" in capfd.readouterr().err
    monkeypatch.setenv("LIDR_TRACKING_WAIT", "soon")
    with pytest.raises(InputError, match="a number of seconds"), stage_run(project.settings, "mgsm", "m1", [], []):
        pass
    assert publish_pending().published == ("mgsm m1",)


@pytest.mark.fault
def test_stage_that_is_killed_ends_as_killed(project: Project) -> None:
    """The publisher outlives its stage, says so in MLflow, and ends."""
    script = project.file(
        "stage.py",
        "import time\n"
        "from lidr import config\n"
        "from lidr.tracking import stage_run\n"
        "with stage_run(config.load(), 'train', 'm1', [], []) as run:\n"
        "    run.log_metrics({'loss': 1.0}, 1)\n"
        "    print('working', flush=True)\n"
        "    time.sleep(60)\n",
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ}) as stage:
        assert stage.stdout and stage.stdout.readline() == b"working\n"
        stage.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while project.journals():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    (child,) = project.children()
    assert (child.info.status, child.data.metrics) == ("KILLED", {"loss": 1.0})


def test_table_needs_a_name_that_the_view_reads(project: Project) -> None:
    with (
        pytest.raises(ValueError, match=r"ends in \.json"),
        stage_run(project.settings, "mgsm", "m1", [], [], publish="later") as run,
    ):
        run.log_table(Path("params.yaml"), "items.jsonl")


def test_system_metrics_by_a_param(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    tracking = msgspec.structs.replace(project.settings.tracking, system_metrics=True)
    settings = msgspec.structs.replace(project.settings, tracking=tracking)
    with stage_run(settings, "generate", "m1", [], []):
        deadline = time.monotonic() + PATIENCE
        while not any("system/cpu_utilization_percentage" in run.data.metrics for run in project.children()):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    (child,) = project.children()
    assert child.info.status == "FINISHED"
