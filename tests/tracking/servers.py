"""A team's tracking server: MLflow's over PostgreSQL, with its own artifact folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PATIENCE = 300.0  # seconds, for a busy machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TrackingServer:
    """`mlflow server`, which can be killed and started again at the same address."""

    def __init__(self, store: str, artifacts: Path) -> None:
        self.artifacts = artifacts
        self._port = free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": store}
        self._environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--workers", "1", "--artifacts-destination", str(self.artifacts)]
        self._process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        until = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, f"the server ended with {self._process.returncode}"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill it like a power cut: no request is finished, no connection closed properly."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return True
        except OSError:
            return False


class PostgreSQL:
    """A database in its own folder, by Debian's package, without a service or password."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder, port = binaries, folder, free_port()
        # PostgreSQL refuses to run as root, as which the tests run in a container.
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as_user:
            shutil.chown(folder, "postgres")
        self._run("initdb", "--auth=trust", "--username=lidr", "--pgdata", str(folder / "data"))
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        self._run("pg_ctl", "--pgdata", str(folder / "data"), "-l", str(folder / "log"), "-w", "-o", options, "start")
        self.uri = f"postgresql+psycopg2://lidr@127.0.0.1:{port}/postgres"

    def stop(self) -> None:
        self._run("pg_ctl", "--pgdata", str(self._folder / "data"), "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._binaries / program), *arguments]
        # pg_ctl's server keeps the standard streams open, so pipes would never end.
        subprocess.run(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE
        )


def postgresql_binaries() -> Path | None:
    """The folder of PostgreSQL's programs: Debian keeps them out of PATH, by version."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), default=None)
