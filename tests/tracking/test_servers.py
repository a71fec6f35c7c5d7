"""A team's tracking server, MLflow's over PostgreSQL with an artifact folder of its own, and two machines at once."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tracking_project import Project, job

from lidr.tracking import Job, StageRun, promote

PATIENCE = 300.0  # seconds, for a busy machine
# Debian keeps PostgreSQL's programs out of PATH, by version.
BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), default=None)
if found := shutil.which("initdb"):
    BINARIES = Path(found).resolve().parent

pytestmark = [
    pytest.mark.skipif(BINARIES is None, reason="no PostgreSQL (Debian's package `postgresql`)"),
    pytest.mark.skipif(importlib.util.find_spec("psycopg2") is None, reason="no psycopg2 (the extra `dev`)"),
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def database() -> Iterator[str]:
    """The address of a database in a folder of its own, without a service or password."""
    # Not pytest's folder, to which the database's user has no access.
    folder, port = Path(tempfile.mkdtemp(prefix="lidr-postgresql-")), _free_port()
    # PostgreSQL refuses to run as root, as which the tests run in a container.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, f"{BINARIES}/{program}", "--pgdata", str(folder / "data"), *arguments]
        # pg_ctl's server keeps the standard streams open, so pipes would never end.
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        subprocess.run(command, cwd=folder, check=True, timeout=PATIENCE, **quiet)

    run("initdb", "--auth=trust", "--username=lidr")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-l", str(folder / "log"), "-w", "-o", options, "start")
    yield f"postgresql+psycopg2://lidr@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def artifacts(database: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server is up, which MLFLOW_TRACKING_URI names; its artifacts' folder."""
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": database, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, env=environment, start_new_session=True, **quiet)
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(port):
            assert server.poll() is None and time.monotonic() < until
            time.sleep(0.2)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        yield tmp_path / "artifacts"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except OSError:
        return False


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
    os.chdir(folder)
    project = Project(Path(folder), settings)
    train = _train(project, model)
    begin.wait()
    queue.put(project.log(train))


def test_two_machines_write_at_once(artifacts: Path, project: Project) -> None:
    """Two checkouts of one pipeline without a shared lock: one experiment, one parent, each run and model once."""
    tracking = msgspec.structs.replace(project.settings.tracking, experiment="two machines")
    project.settings = msgspec.structs.replace(project.settings, tracking=tracking)
    there = project.root.parent / "there"
    shutil.copytree(project.root, there)
    context = multiprocessing.get_context("spawn")
    begin, queue = context.Barrier(2), context.Queue()
    machines = ((project.root, "m1"), (there, "m2"))
    arguments = [(str(folder), project.settings, model, begin, queue) for folder, model in machines]
    both = [context.Process(target=_sync, args=one) for one in arguments]
    for process in both:
        process.start()
    logged = [name for _ in both for name in queue.get(timeout=PATIENCE)]
    for process in both:
        process.join()
    assert sorted(logged) == ["train m1 · beta 0.1", "train m2 · beta 0.1"]
    experiment = project.client.get_experiment_by_name("two machines").experiment_id
    (parent,), children = project.parents(), project.children()
    assert len(project.runs()) == 3 and {run.info.experiment_id for run in project.runs()} == {experiment}
    assert len(children) == 2 and {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    for child in children:
        assert project.history(child.info.run_id, "loss") == [(step, step / 7) for step in range(600)]
    assert project.history(parent.info.run_id, "accuracy/es") == [(1, 0.5)]
    assert sorted(model.name for model in project.client.search_logged_models([experiment])) == ["m1", "m2"]
    # Only the server knows where artifacts are.
    files = [path.read_text() for path in artifacts.rglob("adapter_model.safetensors")]
    assert sorted(files) == ["weights of m1", "weights of m2"]

    (of_m1,) = [run for run in children if run.info.run_name.startswith("train m1")]
    version = promote(project.settings, "m1", "better")
    assert (version.name, version.run_id) == ("two machines-lab", of_m1.info.run_id)
