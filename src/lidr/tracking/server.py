"""MLflow's own pages for the project's runs.

    $ lidr ui
    MLflow: http://127.0.0.1:5000 (Ctrl-C ends it)
    The latest pipeline's curves: http://127.0.0.1:5000/#/experiments/1/runs/3f1c.../model-metrics

Only this machine can open them. With MLFLOW_TRACKING_URI at a server, its pages are there already, and are named.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lidr import paths
from lidr.errors import InputError, LidrError
from lidr.tracking import lookup, store

_HOST = "127.0.0.1"
_PORTS = range(5000, 5100)
_PATIENCE = 600.0


def serve(port: int | None, open_browser: bool, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Serve MLflow's pages until Ctrl-C; `meanwhile` runs once they are up.

    Raises LidrError where the port is taken or the server does not start.
    """
    root = store.project_root()
    uri = store.tracking_uri(root)
    if store.is_server(uri):
        print(f"MLflow: {store.address()} (MLFLOW_TRACKING_URI)", flush=True)
        if open_browser:
            webbrowser.open(uri)
        meanwhile()
        return
    own = root / paths.MLFLOW_STORE
    if store.local_file(uri) == own and not (own.exists() or (root / paths.PARAMS).exists()):
        raise InputError("no such file; run lidr in the project's root", paths.PARAMS)
    address = f"http://{_HOST}:{_free_port(port)}"
    # Also SIGINT: a shell that starts a command in the background has it ignored.
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    server = _start(root, address)
    try:
        _wait_until_up(server, address)
        print(f"MLflow: {address} (Ctrl-C ends it)", flush=True)
        # MLflow's landing page does not show runs.
        curves = lookup.latest_curves()
        if curves:
            print(f"The latest pipeline's curves: {address}/{curves}", flush=True)
        if open_browser:
            webbrowser.open(f"{address}/{curves or ''}")
        meanwhile()
        server.wait()
    except KeyboardInterrupt:
        return
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _stop(server)
    raise LidrError(f"MLflow's server ended by itself, with code {server.returncode}")


def _start(root: Path, address: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        # With the default, and more than one worker, it takes four times as long to start.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": os.environ.get("MLFLOW_LOGGING_LEVEL", "WARNING"),
        "PYTHONWARNINGS": "ignore",
        # Not as an argument: the list of processes is open to all users, and an address may hold a password.
        "MLFLOW_BACKEND_STORE_URI": store.tracking_uri(root),
    }
    port = address.rpartition(":")[2]
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", _HOST, "--port", port, "--workers", "1"]
    # A plain folder, not one behind the server: stages may log without the server.
    command += ["--default-artifact-root", str(store.artifact_location(root))]
    command += ["--uvicorn-opts", "--log-level warning"]
    # A group of its own: the server starts further processes, and all of them have to end with it.
    return subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)


def _wait_until_up(server: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            raise LidrError(f"MLflow's server did not start: it ended with code {server.returncode}")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise LidrError(f"MLflow's server did not answer at {address} within {_PATIENCE:g} s")


def _stop(server: subprocess.Popen[bytes]) -> None:
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(server.pid, signal_number)
            server.wait(5.0)


def _free_port(wanted: int | None) -> int:
    for port in [wanted] if wanted else _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_HOST, port))
            return port
    if wanted:
        raise LidrError(f"port {wanted} of {_HOST} is taken; leave --port out for one that is free")
    raise LidrError(f"no free port from {_PORTS[0]} to {_PORTS[-1]} on {_HOST}")


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
