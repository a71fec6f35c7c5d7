"""Notes on disk of runs that are logged while their stage works, until MLflow has their end.

    .lidr/runs/3f1c....json   {"uri": "sqlite:////home/ada/lidr/mlflow.db", "status": "FINISHED",
                               "tags": {"lidr.result": "9a04...", "dvc.out.models/m2": "1b2c....dir"}}
    .lidr/runs/3f1c....lock   held by the stage's process

A note begins as that of a stage that is killed, as such a one cannot change it. A stage that ends writes it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from msgspec import Struct

from lidr import paths
from lidr.records.jsonl import read_json, write_json
from lidr.tracking import store
from lidr.tracking.parents import OUTER_TAG, PARENT_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Note(Struct, frozen=True, kw_only=True):
    """An open run: where it is, how its stage ended, and what is then to be said of it."""

    uri: str
    status: str = "KILLED"
    tags: dict[str, str] = {}


class OpenRun:
    """The note of this process's own stage."""

    def __init__(self, root: Path, run_id: str) -> None:
        self._path = root / paths.WORK / "runs" / f"{run_id}.json"
        self._uri = store.tracking_uri(root)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Before the note itself: a note without its lock is taken for a dead stage's.
        self._lock = FileLock(self._path.with_suffix(".lock"))
        self._lock.acquire()
        write_json(self._path, Note(uri=self._uri))

    def ended(self, status: str, tags: dict[str, str]) -> None:
        """Say how the stage ended; the next sync tells MLflow."""
        write_json(self._path, Note(uri=self._uri, status=status, tags=tags))
        self._lock.release()


def close_ended_runs(client: MlflowClient, root: Path) -> None:
    """End the runs whose stages have ended and could not say so to this store."""
    for path in sorted((root / paths.WORK / "runs").glob("*.json")):
        lock = path.with_suffix(".lock")
        try:
            with FileLock(lock, blocking=False):
                note = read_json(path, Note)
                assert isinstance(note, Note)
                if note.uri != store.tracking_uri(root):
                    continue
                _close(client, path.stem, note, path.stat().st_mtime_ns // 1_000_000)
                path.unlink()
        except Timeout:  # its stage is at work
            continue
        lock.unlink(missing_ok=True)


def _close(client: MlflowClient, run_id: str, note: Note, time: int) -> None:
    from mlflow.entities import RunTag
    from mlflow.exceptions import MlflowException

    try:
        tags = client.get_run(run_id).data.tags
        client.log_batch(run_id, tags=[RunTag(*tag) for tag in note.tags.items()])
        client.set_terminated(run_id, note.status, time)
        if OUTER_TAG not in tags:
            client.set_terminated(tags[PARENT_TAG], note.status, time)
    except MlflowException as error:
        # Somebody has deleted the run.
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE"):
            raise
