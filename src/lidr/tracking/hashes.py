"""The hash that DVC gives a file or folder, so that MLflow and dvc.lock name the same thing by the same name.

A file's hash is the MD5 of its bytes; a folder's is the MD5 of the JSON list of its files' hashes and paths. A
`.gitignore` is left out: DVC writes it beside outputs once their stage has ended. Hashes of large files are kept in
.lidr/hashes.json, by time and size: a model of many gigabytes is read once, not by each stage.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from lidr import paths
from lidr.errors import InputError
from lidr.records.jsonl import read_json, write_json
from lidr.tracking.store import project_root

_LARGE = 64 * 1024 * 1024


def dvc_hash(path: Path) -> str:
    """DVC's MD5 of a file, or of a folder with `.dir` at its end."""
    if not path.is_dir():
        return _file_hash(path)
    listing = [{"md5": _file_hash(file), "relpath": file.relative_to(path).as_posix()} for file in files_of(path)]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def files_of(path: Path) -> list[Path]:
    """The files of an output, a file or a folder, in the order of their names."""
    if path.is_file():
        return [path]
    files = (file for file in path.rglob("*") if file.is_file() and file.name != ".gitignore")
    return sorted(files, key=lambda file: file.relative_to(path).as_posix())


def _file_hash(path: Path) -> str:
    status = path.stat()
    if status.st_size < _LARGE:
        return _md5(path)
    store = project_root() / paths.WORK / "hashes.json"
    key = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {status.st_ino}"
    try:
        known = read_json(store)
    except InputError:  # not there yet, or half written
        known = {}
    if key in known:
        return str(known[key])
    found = _md5(path)
    # Two stages may write at once; a lost entry is only computed again.
    with contextlib.suppress(OSError):
        write_json(store, {**known, key: found})
    return found


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
