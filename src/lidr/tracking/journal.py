"""The journal of a stage: what MLflow is to be told, line by line, in .lidr/journals.

    {"kind":"begin","journal":"9f0c...","name":"train m2 · beta 0.1","time":1767225600000,"params":{...},...}
    {"kind":"metrics","time":1767225601000,"step":5,"values":{"loss":1.52,"reward_accuracy":0.5}}
    {"kind":"artifact","snapshot":"1","name":"m2","folder":"adapter"}
    {"kind":"end","time":1767225660000,"status":"FINISHED","tags":{"dvc.out.models/m2":"1b2c...dir"}}

Each line carries its own time, so that publishing it twice is the same as publishing it once. Beside
`<stage>-<model>-<id>.jsonl` stand, while they are needed,

    <stage>-<model>-<id>.alive   locked by the stage's process: an unfinished journal without it is a dead stage's
    files/<id>/<number>/...      what artifacts and tables were when they were logged, as hard links where possible

and a journal that MLflow has completely moves to published/.
"""

from __future__ import annotations

import fcntl
import math
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
from msgspec import Struct

from lidr import paths
from lidr.errors import InputError, naming

Status = Literal["FINISHED", "FAILED", "KILLED"]
# JSON has no such numbers, but a training that diverges does.
Number = float | Literal["nan", "inf", "-inf"]


class Line(Struct, tag_field="kind", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of all lines."""


class Pipeline(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The state of the pipeline that a stage ran in: what its parent run says."""

    fingerprint: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]


class Begin(Line, tag="begin", frozen=True, kw_only=True):
    """The stage began. `outer_run` is the run that `mlflow run` made around it, if any."""

    journal: str
    experiment: str
    outer_run: str | None
    pipeline: Pipeline
    name: str
    time: int
    params: dict[str, str]
    tags: dict[str, str]
    system_metrics: bool


class Metrics(Line, tag="metrics", frozen=True, kw_only=True):
    """Values at a step of this run."""

    time: int
    step: int
    values: dict[str, Number]


class ParentMetrics(Line, tag="parent_metrics", frozen=True, kw_only=True):
    """Values at a step, which is an iteration, of the parent run."""

    step: int
    values: dict[str, Number]


class Dataset(Line, tag="dataset", frozen=True, kw_only=True):
    """Data that the stage used; `schema` and `profile` are MLflow's own JSON."""

    name: str
    digest: str
    source: str
    schema: str | None
    profile: str
    context: str


class ModelData(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A model's data: its name, and DVC's hash, by which evaluations find the logged model that training made."""

    name: str
    digest: str
    tags: dict[str, str]


class Model(Line, tag="model", frozen=True, kw_only=True):
    """A model that the stage made, to be a logged model; without a snapshot its data stays with DVC alone."""

    model: ModelData
    model_type: str
    step: int
    snapshot: str | None


class Evaluation(Line, tag="evaluation", frozen=True, kw_only=True):
    """Values of this run that say how good a model is on a dataset, which is named by a line before."""

    time: int
    step: int
    values: dict[str, Number]
    model: ModelData
    dataset: str
    dataset_digest: str


class Artifact(Line, tag="artifact", frozen=True, kw_only=True):
    """A file or folder, under its name in `folder`."""

    snapshot: str
    name: str
    folder: str | None


class Table(Line, tag="table", frozen=True, kw_only=True):
    """A file of JSON lines as a table that the evaluation view shows."""

    snapshot: str
    source: str
    name: str


class End(Line, tag="end", frozen=True, kw_only=True):
    """The stage ended."""

    time: int
    status: Status
    tags: dict[str, str]


AnyLine = Begin | Metrics | ParentMetrics | Dataset | Model | Evaluation | Artifact | Table | End


class Journal:
    """The writing end, for the one process that runs the stage."""

    def __init__(self, root: Path, stage: str, model: str | None) -> None:
        self.id = uuid.uuid4().hex
        name = "-".join(filter(None, (stage, model, self.id))).replace("/", "~")  # a generator may be OWNER/MODEL
        self.path = folder(root) / f"{name}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._snapshots = 0
        # Before the journal itself: a journal without its lock is taken for a dead stage's.
        self._alive = _alive_file(self.path).open("wb")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._file = self.path.open("xb")

    def write(self, line: Line) -> None:
        """Add a line; it is there for the publisher, and survives this process, when this returns."""
        with naming(self.path):
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()

    def keep(self, path: Path) -> str:
        """Hold on to a file or folder as it is now, until it is published; returns the snapshot's name.

        Files in lidr are replaced and never changed in place, so a hard link holds their content at no cost.
        """
        target = self._next_snapshot() / path.name
        if path.is_dir():
            shutil.copytree(path, target, copy_function=_link)
        else:
            _link(path, target)
        return str(self._snapshots)

    def keep_rows(self, rows: Iterable[Mapping[str, Any]], name: str) -> str:
        """Hold on to rows as a file of JSON lines of this name; returns the snapshot's name."""
        with (self._next_snapshot() / name).open("wb") as file:
            file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)
        return str(self._snapshots)

    def _next_snapshot(self) -> Path:
        self._snapshots += 1
        place = snapshots(self.path) / str(self._snapshots)
        place.mkdir(parents=True)
        return place

    def close(self) -> None:
        """The stage writes nothing more."""
        self._file.close()
        self._alive.close()
        _alive_file(self.path).unlink(missing_ok=True)


def now() -> int:
    """The time as MLflow counts it: milliseconds."""
    return time.time_ns() // 1_000_000


def numbers(values: Mapping[str, float | None]) -> dict[str, Number]:
    """The values that are there, in a form that JSON can hold."""
    return {key: _number(float(value)) for key, value in values.items() if value is not None}


def folder(root: Path) -> Path:
    return root / paths.journals()


def snapshots(journal: Path) -> Path:
    """The folder of a journal's snapshots."""
    return journal.parent / "files" / journal.stem.rpartition("-")[2]


def pending(root: Path) -> list[Path]:
    """Journals that MLflow does not have completely, in the order in which their stages began."""

    def begun(path: Path) -> tuple[int, str]:
        try:
            with path.open("rb") as file:
                first = _decode(file.readline(), path, 1)
        except (InputError, FileNotFoundError):
            first = None
        return (first.time if isinstance(first, Begin) else 0, path.name)

    return sorted(folder(root).glob("*.jsonl"), key=begun)


def read(path: Path) -> list[AnyLine]:
    """The journal's whole lines so far; a stage that died without one gets its end line here."""
    alive = is_alive(path)
    content = path.read_bytes()
    lines = [_decode(line, path, number) for number, line in enumerate(content.splitlines(keepends=True), 1) if line]
    whole = [line for line in lines if line is not None]
    if whole and not alive and not isinstance(whole[-1], End):
        whole.append(End(time=int(path.stat().st_mtime * 1000), status="KILLED", tags={}))
    return whole


def is_alive(path: Path) -> bool:
    """Whether the stage that writes this journal may still write."""
    try:
        with _alive_file(path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def taken(path: Path, wait: bool) -> Iterator[bool]:
    """Hold the journal for publishing; False where another publisher has it, or had it and is done."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield path.exists()


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Hold what two publishers must not do at once: make the store, an experiment or a parent run."""
    folder(root).mkdir(parents=True, exist_ok=True)
    with (folder(root) / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def retire(path: Path) -> None:
    """Put a journal that MLflow has completely out of the way."""
    target = path.parent / "published" / path.name
    target.parent.mkdir(exist_ok=True)
    shutil.rmtree(snapshots(path), ignore_errors=True)
    _alive_file(path).unlink(missing_ok=True)
    path.replace(target)


def _alive_file(path: Path) -> Path:
    return path.with_suffix(".alive")


def _number(value: float) -> Number:
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _decode(line: bytes, path: Path, number: int) -> AnyLine | None:
    # A stage that was killed, or writes at this moment, leaves the beginning of a line.
    if not line.endswith(b"\n"):
        return None
    try:
        return msgspec.json.decode(line, type=AnyLine)
    except msgspec.DecodeError as error:
        raise InputError(f"not a line of a journal: {error}", path, number) from error


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copy2(source, target)


def open_log(root: Path) -> IO[bytes]:
    """The file that takes what a publisher's process says beside its result."""
    return (folder(root) / "publisher.log").open("ab")
