"""Kills `dvc repro` at a chosen point of a chosen stage, and checks the project afterwards.

A point is a time within a stage, the moment when it writes, or the moment when another shard is done. The kill hits the
whole process group, as when a machine goes down or a terminal closes; only the stage, as when the kernel is out of
memory; or only DVC.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec
import psutil
from ruamel.yaml import YAML
from small_pipeline import environment

from lidr import paths

Moment = Literal["time", "write", "shard"]
Target = Literal["all", "stage", "dvc"]
PATIENCE = 1200.0
UNFINISHED = ("*.part", "*.old")
BETWEEN = "between stages"
# The folders that stages write to, without DVC's own.
WRITTEN = (paths.DATA, paths.MODELS, paths.REPORTS, paths.WORK)


@dataclass(frozen=True)
class Point:
    """Where to kill; for a point in time, `share` is the share of the stage's usual duration."""

    stage: str
    signal: signal.Signals
    moment: Moment = "time"
    share: float = 0.0
    target: Target = "all"


class Kill(msgspec.Struct, frozen=True):
    """Where the kill landed, the stage's shards done by then, and those among them that an earlier kill left."""

    stage: str
    landed: str
    signal: str
    moment: Moment
    target: Target
    shards: int
    taken_up: int


def points(stages: list[str], count: int, seed: int) -> list[Point]:
    """Random points in the stages' order, at least two per kind of stage."""
    draw = random.Random(seed)
    kinds = [stage.partition("@")[0] for stage in stages]
    once = [stage for stage, kind in zip(stages, kinds, strict=True) if kinds.count(kind) == 1]
    chosen = stages + once + draw.choices(stages, k=max(0, count - len(stages) - len(once)))
    found = [_point(draw, stage, number) for number, stage in enumerate(chosen[:count])]
    return sorted(found, key=lambda point: stages.index(point.stage))


def _point(draw: random.Random, stage: str, number: int) -> Point:
    in_shards = stage.partition("@")[0] in ("generate", "translate", "mgsm", "baseline")
    moments: tuple[Moment, ...] = ("time", "write", "shard") if in_shards else ("time", "time", "write")
    targets: tuple[Target, ...] = ("all", "all", "all", "stage", "dvc")
    how = signal.SIGKILL if number % 2 else signal.SIGTERM
    return Point(stage, how, draw.choice(moments), draw.random(), draw.choice(targets))


@dataclass
class Project:
    """A project to kill, and a reference that is never killed."""

    root: Path
    whole: Path
    temporary: Path

    def __post_init__(self) -> None:
        self.temporary.mkdir()
        self._stages = stages(self.whole)
        self._usual = durations(self.whole)

    def kill(self, point: Point) -> Kill:
        """Run `dvc repro` up to the point and kill it there; then check that all visible outputs are complete."""
        before = self.shards()
        dvc = self.repro()
        # An earlier kill may have come after the end of its stage, which then does not run again.
        name, stage = wait_for(dvc, self._stages[self._stages.index(point.stage) :])
        self._wait_for_moment(point, name, stage, len(before))
        hit, done = is_at_work(stage), self.shards()
        _send(point, dvc, stage)
        dvc.wait(PATIENCE)
        self._end_of(stage, name, point)
        remove_cut_account(self.root)
        kept = [path for path in before if path.is_relative_to(self._shards_of(name))]
        taken_up = sum(done.get(path) == before[path] for path in kept) if hit else 0
        assert not hit or taken_up == len(kept), "a shard was made again"
        self.check_what_is_there()
        return Kill(
            stage=name,
            landed=name if hit else BETWEEN,
            signal=point.signal.name,
            moment=point.moment,
            target=point.target,
            shards=sum(path.is_relative_to(self._shards_of(name)) for path in done),
            taken_up=taken_up,
        )

    def finish(self) -> str:
        """Run `dvc repro` to its end and return its output."""
        dvc = self.repro()
        said, _ = dvc.communicate(timeout=PATIENCE)
        assert dvc.returncode == 0, said[-4000:].decode()
        return said.decode()

    def check_what_is_there(self) -> None:
        """Check that no output is partial: it is missing, or equal to the reference's."""
        assert self.outputs_that_differ() == []

    def outputs_that_differ(self) -> list[str]:
        return [
            name
            for name in outputs(self.whole)
            if (self.root / name).exists() and contents(self.root / name) != contents(self.whole / name)
        ]

    def check_the_end(self) -> None:
        """Check that all results equal the reference's, and that no other files are left."""
        assert locked(self.root) == locked(self.whole)
        assert [name for name in outputs(self.whole) if not (self.root / name).exists()] == []
        self.check_what_is_there()
        assert self.left_over() == []

    def left_over(self) -> list[str]:
        """Remaining shards and unfinished files."""
        found = [path for folder in WRITTEN for name in UNFINISHED for path in (self.root / folder).rglob(name)]
        found += [path for path in (self.root / paths.WORK / "scratch").rglob("*") if path.is_file()]
        # A stage keeps the shards of its last run alone.
        runs = Counter(folder.parent for folder in {path.parent for path in self.shards()})
        found += [place for place, count in runs.items() if count > 1]
        # torch's compiler has a cache folder there for all processes.
        found += [path for path in self.temporary.iterdir() if not path.name.startswith("torchinductor_")]
        return [str(path) for path in found] + self._held()

    def _held(self) -> list[str]:
        """The entries of DVC's rwlock that belong to running processes.

        Killed readers stay in it until a process wants to write what they read, which is when DVC checks.
        """
        account = msgspec.json.decode((self.root / ".dvc/tmp/rwlock").read_bytes())
        held = list(account.get("write", {}).items())
        held += [(path, one) for path, readers in account.get("read", {}).items() for one in readers]
        return [f"{path}: {one['cmd']}" for path, one in held if psutil.pid_exists(one["pid"])]

    def shards(self) -> dict[Path, tuple[int, int]]:
        """Complete shards; a shard that is written again is another file."""
        folder = self.root / paths.WORK / "shards"
        return {path: (about.st_ino, about.st_mtime_ns) for path in folder.rglob("*.jsonl") if (about := path.stat())}

    def repro(self, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["dvc", "repro", *options],
            cwd=self.root,
            env=environment(TMPDIR=str(self.temporary)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _shards_of(self, name: str) -> Path:
        """The folder of a stage's shards."""
        return self.root / paths.WORK / "shards" / name.replace("@", "/")

    def _wait_for_moment(self, point: Point, name: str, stage: psutil.Process, shards: int) -> None:
        until = time.monotonic() + point.share * self._usual[name]
        while is_at_work(stage):
            if point.moment == "time" and time.monotonic() >= until:
                return
            if point.moment == "write" and self._writes():
                return
            if point.moment == "shard" and len(self.shards()) > shards:
                return
            time.sleep(0.002)

    def _writes(self) -> bool:
        return any(True for folder in WRITTEN for _ in (self.root / folder).rglob("*.part"))

    def _end_of(self, stage: psutil.Process, name: str, point: Point) -> None:
        """Wait for a stage whose DVC was killed: it continues, and refuses a second process."""
        if point.target != "dvc" or not is_at_work(stage):
            return
        said, _ = (second := self.repro("--single-item", name)).communicate(timeout=PATIENCE)
        if second.returncode:
            assert f"the process {stage.pid} is at work on it; wait for it, or end it" in said.decode(), said.decode()
        while is_at_work(stage):
            time.sleep(0.05)


def remove_cut_account(project: Path) -> None:
    """Remove a partial rwlock: DVC writes it in place, so that a kill at that moment truncates it.

    DVC then asks for its removal, as docs/reliability.md says; lidr stores nothing in it.
    """
    account = project / ".dvc/tmp/rwlock"
    if not account.exists():
        return
    try:
        msgspec.json.decode(account.read_bytes())
    except msgspec.DecodeError:
        account.unlink()


def is_at_work(process: psutil.Process) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(dvc: subprocess.Popen[bytes], wanted: list[str]) -> tuple[str, psutil.Process]:
    """Wait for the first of these stages that DVC starts; returns it and its process."""
    assert dvc.stdout
    names = {tuple(name.replace("@", " ").split()): name for name in wanted}
    parent, until = psutil.Process(dvc.pid), time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for child in parent.children(recursive=True):
            try:
                words = child.cmdline()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            for count in (1, 2):
                # A full command line: `python .../lidr train m1`.
                if len(words) > count and words[-count - 1].endswith("/lidr") and tuple(words[-count:]) in names:
                    return names[tuple(words[-count:])], child
        assert dvc.poll() is None, dvc.stdout.read().decode()[-4000:]
        time.sleep(0.05)  # each look reads all processes of the machine
    raise AssertionError(f"DVC never came to one of {wanted}")


def _send(point: Point, dvc: subprocess.Popen[bytes], stage: psutil.Process) -> None:
    if point.target == "all":
        os.killpg(dvc.pid, point.signal)
    elif point.target == "dvc":
        dvc.send_signal(point.signal)
    elif is_at_work(stage):
        stage.send_signal(point.signal)
    else:
        os.killpg(dvc.pid, point.signal)


def durations(project: Path) -> dict[str, float]:
    """Upper bounds of the stages' durations in seconds: from the previous stage's last output to its own."""
    ends = {
        name: max(file.stat().st_mtime for out in stage["outs"] for file in _files(project / out["path"]))
        for name, stage in locked(project).items()
    }
    ordered = sorted(ends, key=ends.__getitem__)
    first = {ordered[0]: 1.0}
    return first | {name: ends[name] - ends[before] for before, name in pairwise(ordered)}


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def stages(project: Path) -> list[str]:
    """The stages of dvc.lock in a valid order."""
    return list(locked(project))


def outputs(project: Path) -> Iterator[str]:
    """All outputs in dvc.lock."""
    return (out["path"] for stage in locked(project).values() for out in stage.get("outs", []))


def contents(path: Path) -> dict[str, bytes]:
    """The contents of a file, or of all files of a folder, by name."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def forget(project: Path, names: list[str]) -> None:
    """Reset the project to before these stages ran."""
    lock = YAML(typ="safe", pure=True).load((project / paths.LOCK).read_text("utf-8"))
    for name in names:
        remove(project, [out["path"] for out in lock["stages"].pop(name)["outs"]])
    with (project / paths.LOCK).open("w") as file:
        YAML(typ="safe", pure=True).dump(lock, file)
    shards = [paths.shards(*name.partition("@")[::2]).as_posix() for name in names]
    remove(project, [".dvc/cache/runs", *shards])


def remove(project: Path, names: Iterable[str]) -> None:
    """Remove files and folders, if they exist."""
    subprocess.run(["rm", "-rf", *(str(project / name) for name in names)], check=True)


def locked(project: Path) -> dict[str, dict]:
    """The stages of dvc.lock."""
    found: dict[str, dict] = YAML(typ="safe", pure=True).load((project / paths.LOCK).read_text("utf-8"))["stages"]
    return found
