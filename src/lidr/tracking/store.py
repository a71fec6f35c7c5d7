"""The tracking store, the project's own or that of MLFLOW_TRACKING_URI, and its client.

    with opened() as client:
        client.search_experiments()

All addresses are absolute. DVC runs queued experiments in temporary folders: a relative address would lead there, and
the runs would be lost with the folder.
"""

from __future__ import annotations

import logging
import os
import re
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote, urlsplit

from lidr import paths
from lidr.errors import LidrError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

_DVC_EXPERIMENTS = "/.dvc/tmp/exps/"
_SQLITE = re.compile(r"^sqlite(?:\+pysqlite)?:///([^?]*)")
_RELATIVE_SQLITE = re.compile(r"^sqlite:///(?!/)(.+)$")
# SQLAlchemy takes a password with a slash or an @ as it is.
_PASSWORD = re.compile(r"(?<=://)[^/\s]\S*@")
_QUERY_VALUE = re.compile(r"(?<=[?&])([^=&\s]+)=[^&\s]+")
# MLflow's own settings, where the user has set none.
_ENVIRONMENT = {
    # Notice an unreachable server soon; the next sync logs what it missed.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


# --- addresses --------------------------------------------------------------------------------------------------------


def project_root(folder: Path | None = None) -> Path:
    """The project's root: the working folder, or the project that owns it where it is DVC's for an experiment."""
    absolute = str((folder or Path.cwd()).resolve())
    return Path(absolute.split(_DVC_EXPERIMENTS, 1)[0])


def tracking_uri(root: Path) -> str:
    """The absolute address of the tracking store."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.MLFLOW_STORE}"
    relative = _RELATIVE_SQLITE.match(uri)
    if not relative:
        return uri
    if not set(str(root)) & set("?%"):
        return f"sqlite:///{root}/{relative[1]}"
    # SQLAlchemy ends a path at a question mark and reads %20 as a space. MLflow makes the folder that it sees in an
    # address without a driver, and does not undo the quoting.
    return f"sqlite+pysqlite:///{quote(str(root))}/{relative[1]}"


def local_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for another kind of store."""
    found = _SQLITE.match(uri)
    return Path(unquote(found[1])) if found else None


def is_server(uri: str) -> bool:
    """Whether a tracking server, rather than this process, keeps the store and decides where artifacts go."""
    return uri.startswith(("http://", "https://"))


def artifact_location(root: Path) -> str | None:
    """Where a new experiment's artifacts go; None leaves it to the server."""
    if is_server(tracking_uri(root)):
        return None
    folder = root / paths.MLFLOW_ARTIFACTS
    # MLflow takes a plain path for an address in which ? and # have a meaning.
    return folder.as_uri() if set(str(folder)) & set("?#%") else str(folder)


def check_place(experiment: Experiment) -> None:
    """Raise LidrError where the project's own store has the experiment's artifacts in another project's folder.

    MLflow keeps that place as an absolute path: a project that was moved or copied would go on writing there.
    """
    root, location = project_root(), experiment.artifact_location
    if local_file(tracking_uri(root)) != root / paths.MLFLOW_STORE:
        return
    place = Path(unquote(urlsplit(location).path) if location.startswith("file:") else location)
    own = root / paths.MLFLOW_ARTIFACTS
    if place.name == own.name and place.is_absolute() and place.resolve() != own.resolve():
        raise LidrError(
            f"artifacts of the experiment {experiment.name!r} are expected in {place}: the project was moved or copied "
            f"from there; move it back, or remove {paths.MLFLOW_STORE} and {paths.MLFLOW_ARTIFACTS} and run "
            "`lidr track`, which logs from the files"
        )


def address() -> str:
    """The project's tracking store as it may be shown."""
    return without_secrets(tracking_uri(project_root()))


def without_secrets(text: str) -> str:
    """The text without the user names and passwords of its addresses, and without the values of their queries."""
    return _QUERY_VALUE.sub(r"\1=***", _PASSWORD.sub("***@", text))


# --- the client -------------------------------------------------------------------------------------------------------


@contextmanager
def opened() -> Iterator[MlflowClient]:
    """A client for a command that asks MLflow itself; raises LidrError where there is no store, or no answer."""
    file = local_file(tracking_uri(project_root()))
    if file is not None and not file.exists():
        raise LidrError(f"no MLflow store at {address()}; set MLFLOW_TRACKING_URI to another one")
    with failures():
        yield connect()


def connect() -> MlflowClient:
    """A client of the store, which is made where it is the project's own and not there yet."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    # MLflow logs each migration of a new store, and each failure that is reported in one line here.
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with one_at_a_time("store"):
        return MlflowClient(tracking_uri(project_root()))


@contextmanager
def one_at_a_time(what: Literal["store", "sync"]) -> Iterator[None]:
    """Lock what two processes must not do at once: create the store, its experiments and parents, or log to it."""
    from filelock import FileLock

    path = project_root() / paths.lock(Path(f"mlflow-{what}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def search(client: MlflowClient, condition: str, order: str) -> list[Run]:
    """The runs of all experiments that fulfil a condition, in an order such as 'start_time ASC'; a thousand at most."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, condition, order_by=[order], max_results=1000))


def now() -> int:
    """The time as MLflow counts it: milliseconds."""
    return time.time_ns() // 1_000_000


# --- errors -----------------------------------------------------------------------------------------------------------


@contextmanager
def failures(what: str = "") -> Iterator[None]:
    """Raise a failure of MLflow in the block as a LidrError in one line; errors of our own go on as they are."""
    try:
        yield
    except LidrError:
        raise
    except Exception as error:
        if not _is_of_mlflow(error):
            raise
        raise LidrError(f"MLflow at {address()}{what}: {reason(error)}") from error


def _is_of_mlflow(error: Exception) -> bool:
    """Whether it came out of MLflow, which lets errors of databases and object stores through, or of the system."""
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, OSError) or any(name.partition(".")[0] == "mlflow" for name in modules)


def reason(error: BaseException) -> str:
    """The error in one line, without what an address must not show."""
    if isinstance(error, LidrError):
        return without_secrets(str(error))
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, ConnectionError | TimeoutError):
        return cause.strerror or type(cause).__name__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return without_secrets(lines[0])[:300]
