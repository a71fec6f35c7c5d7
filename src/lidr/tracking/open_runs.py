"""Runs of stages that are logged while they work, noted on disk until MLflow has their end.

    .lidr/runs/3f1c....json   {"uri": "sqlite:////home/ada/lidr/mlflow.db", "status": "FINISHED", "time": 1767225660000,
                               "tags": {"lidr.result": "9a04...", "dvc.out.models/m2": "1b2c....dir"}}
    .lidr/runs/3f1c....lock   held by the stage's process

A note without a status whose lock nobody holds is that of a stage that was killed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout
from msgspec import Struct

from lidr import paths
from lidr.records.jsonl import read_json, write_json
from lidr.tracking import store
from lidr.tracking.batches import log_batches, now
from lidr.tracking.parents import OUTER_TAG, PARENT_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Note(Struct, frozen=True, kw_only=True):
    """An open run: where it is, and how its stage ended, once it has."""

    uri: str
    status: Status | None = None
    time: int = 0
    tags: dict[str, str] = {}


class OpenRun:
    """The note of this process's own stage."""

    def __init__(self, root: Path, run_id: str) -> None:
        self._path = _folder(root) / f"{run_id}.json"
        self._uri = store.tracking_uri(root)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Before the note itself: a note without its lock is taken for a dead stage's.
        self._lock = FileLock(_lock(self._path))
        self._lock.acquire()
        write_json(self._path, Note(uri=self._uri))

    def ended(self, status: Status, tags: dict[str, str]) -> None:
        """Say how the stage ended; the next sync tells MLflow."""
        write_json(self._path, Note(uri=self._uri, status=status, time=now(), tags=tags))
        self._lock.release()


def close_open_runs(client: MlflowClient, root: Path) -> None:
    """End the runs whose stages have ended and could not say so to this store."""
    for path in sorted(_folder(root).glob("*.json")):
        try:
            with FileLock(_lock(path), blocking=False):
                note = read_json(path, Note)
                assert isinstance(note, Note)
                if note.uri == store.tracking_uri(root):
                    _close(client, path.stem, note, int(path.stat().st_mtime * 1000))
                    path.unlink()
        except Timeout:  # its stage is at work
            continue
        if not path.exists():
            _lock(path).unlink(missing_ok=True)


def _close(client: MlflowClient, run_id: str, note: Note, changed: int) -> None:
    from mlflow.exceptions import MlflowException

    try:
        tags, status, time = client.get_run(run_id).data.tags, note.status or "KILLED", note.time or changed
        log_batches(client, run_id, tags=note.tags)
        client.set_terminated(run_id, status, time)
        if OUTER_TAG not in tags:
            client.set_terminated(tags[PARENT_TAG], status, time)
    except MlflowException as error:
        # Somebody has deleted the run.
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE"):
            raise


def _folder(root: Path) -> Path:
    return root / paths.WORK / "runs"


def _lock(note: Path) -> Path:
    return note.with_suffix(".lock")
