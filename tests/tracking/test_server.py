"""MLflow's server: a free port, on localhost only, and no leftovers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from lidr.errors import LidrError
from lidr.tracking.server import serve


@pytest.mark.usefixtures("project")
def test_serves_until_it_is_interrupted() -> None:
    command = [sys.executable, "-c", "from lidr.tracking.server import serve; serve(None, False)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            address = line.split()[1]
            assert line == f"MLflow: {address} (Ctrl-C ends it)\n"
            assert address.startswith("http://127.0.0.1:5")
            with urllib.request.urlopen(address, timeout=60) as page:
                assert b"MLflow" in page.read()
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
        finally:
            # Leaving the block waits for the server to end, for ever if it does not.
            server.terminate()
    host, port = address.removeprefix("http://").split(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0


@pytest.mark.usefixtures("project")
def test_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LidrError, match=f"port {port} of 127.0.0.1 is taken"):
            serve(port, False)


@pytest.mark.usefixtures("project")
def test_server_elsewhere_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ada:secret@mlflow.example.org")
    serve(None, False)
    assert capsys.readouterr().out == "MLflow: https://***@mlflow.example.org (MLFLOW_TRACKING_URI)\n"
