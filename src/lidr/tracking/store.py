"""Where runs go: the project's own store, or the server that MLFLOW_TRACKING_URI names.

    >>> tracking_uri(Path("/home/ada/lidr"))
    'sqlite:////home/ada/lidr/mlflow.db'

All addresses are absolute. A relative one would mean another place in each of the temporary folders in which DVC runs
queued experiments, and what was logged there would be lost with the folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from lidr import paths

_DVC_EXPERIMENTS = "/.dvc/tmp/exps/"
_SQLITE = re.compile(r"^sqlite(?:\+pysqlite)?:///([^?]*)")
_RELATIVE_SQLITE = re.compile(r"^sqlite:///(?!/)(.+)$")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


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
    folder = str(root)
    if not set(folder) & set("?%"):
        return f"sqlite:///{folder}/{relative[1]}"
    # SQLAlchemy ends a path at a question mark and reads %20 as a space. MLflow makes the folder that it sees in an
    # address without a driver, and does not undo the quoting.
    return f"sqlite+pysqlite:///{quote(folder)}/{relative[1]}"


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


def address(root: Path) -> str:
    """The tracking store as it may be shown."""
    return without_secrets(tracking_uri(root))


def without_secrets(text: str) -> str:
    """The text with user names and passwords taken out of its addresses."""
    return _PASSWORD.sub("***@", text)
