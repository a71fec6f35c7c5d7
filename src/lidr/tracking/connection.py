"""The way to MLflow: a client of the store or server, MLflow's own settings, and its errors in one line.

with opened() as client:
    client.search_experiments()
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lidr import paths
from lidr.errors import LidrError
from lidr.tracking import store

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities import Run

_ENVIRONMENT = {
    # A server that is away is noticed soon; what it missed is logged by the next sync.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@contextmanager
def opened() -> Iterator[MlflowClient]:
    """A client for a command that asks MLflow itself; raises LidrError where there is no store, or no answer."""
    root = store.project_root()
    address = store.address(root)
    file = store.local_file(store.tracking_uri(root))
    if file is not None and not file.exists():
        raise LidrError(f"no MLflow store at {address}; set MLFLOW_TRACKING_URI to another one")
    with environment():
        from mlflow.exceptions import MlflowException

        try:
            yield connect(root)
        except (MlflowException, OSError) as error:
            raise LidrError(f"MLflow at {address}: {reason(error)}") from error


def connect(root: Path) -> MlflowClient:
    """A client of the store, which is made where it is the project's own and not there yet."""
    from mlflow import MlflowClient

    # MLflow logs each migration of a new store, and each failure that is reported in one line here.
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with one_at_a_time(root, paths.MLFLOW_STORE):
        return MlflowClient(store.tracking_uri(root))


@contextmanager
def one_at_a_time(root: Path, what: Path) -> Iterator[None]:
    """Hold what two processes must not make at once: the store with its experiments and parents, or a sync."""
    from filelock import FileLock

    path = root / paths.lock(what)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def search(client: MlflowClient, condition: str, order: str) -> list[Run]:
    """The runs of all experiments that fulfil a condition, in an order such as 'start_time ASC'; a thousand at most."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, condition, order_by=[order], max_results=1000))


@contextmanager
def environment() -> Iterator[None]:
    """MLflow's own settings, where the user has set none."""
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def now() -> int:
    """The time as MLflow counts it: milliseconds."""
    return time.time_ns() // 1_000_000


def reason(error: BaseException) -> str:
    """The error in one line, without what an address must not show."""
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, ConnectionError | TimeoutError):
        return cause.strerror or type(cause).__name__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return store.without_secrets(lines[0])[:300]
