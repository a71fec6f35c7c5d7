"""Killed anywhere, `dvc repro` goes on: what is there is whole, what was done stays done, the results are the same.

LIDR_CHAOS_KILLS=30 kills a pipeline that begins with nothing that often, each stage twice at least (`make chaos`);
without it, a few stages of a pipeline that has run are made anew under fire. LIDR_CHAOS_SEED draws other points.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import kills
import msgspec
import pytest
import small_pipeline
from kills import Kill, Point, Project
from small_pipeline import environment

pytestmark = pytest.mark.pipeline

KILLS = int(os.environ.get("LIDR_CHAOS_KILLS", "0"))
SEED = int(os.environ.get("LIDR_CHAOS_SEED", "0"))
Record = Callable[[str, object], None]

# Two in the same stage, of which the second must find the shards of the first.
FEW = [
    Point("generate@m2", signal.SIGKILL, "shard"),
    Point("generate@m2", signal.SIGTERM, "shard"),
    Point("pairs@m2", signal.SIGKILL, "write"),
    Point("train@m2", signal.SIGTERM, "time", 0.8),
]


@pytest.fixture
def project(reproduced: Path, tmp_path: Path) -> Project:
    """A copy in which the stages of FEW have not run yet."""
    folder = Path(shutil.copytree(reproduced, tmp_path / "lidr", symlinks=True))
    kills.forget(folder, sorted({point.stage for point in FEW}))
    return Project(folder, reproduced, tmp_path / "temporary")


def test_a_killed_pipeline_goes_on_and_ends_the_same(project: Project, record_property: Record) -> None:
    done = [project.kill(point) for point in FEW]
    assert [kill.taken_up for kill in done[:2]] == [0, done[0].shards] and done[0].shards > 0
    project.finish()
    project.check_the_end()
    record_property("kills", msgspec.to_builtins(done))


@pytest.mark.parametrize(("account", "stays"), [("", False), ('{"read": {"a', False), ('{"read": {}}', True)])
def test_an_account_that_a_kill_cut_off_is_removed(tmp_path: Path, account: str, stays: bool) -> None:
    kills.remove_cut_account(tmp_path)  # there may be none yet
    path = tmp_path / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(account)
    kills.remove_cut_account(tmp_path)
    assert path.exists() == stays


@pytest.mark.skipif(not KILLS, reason="only `make chaos` kills the whole pipeline, which takes a quarter of an hour")
def test_killed_anywhere(reproduced: Path, tmp_path: Path, record_property: Record) -> None:
    project = Project(small_pipeline.clone(tmp_path / "lidr"), reproduced, tmp_path / "temporary")
    kills.remove(project.root, kills.outputs(reproduced))  # git has the reports of the run with all prompts
    done = []
    for point in kills.points(kills.stages(reproduced), KILLS, SEED):
        done.append(project.kill(point))
        print(done[-1], flush=True)
    project.finish()
    project.check_the_end()
    done += _those_that_are_missing(project, done)
    small_pipeline.run("lidr", "track", cwd=project.root)
    runs = small_pipeline.store(project.root).runs()
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED", "KILLED"}, "a run that nobody works on is open"
    record_property("kills", msgspec.to_builtins(done))


def _those_that_are_missing(project: Project, done: list[Kill]) -> list[Kill]:
    """What ended before it could be killed twice is made anew, and killed at its beginning."""
    landed, more = Counter(kill.landed.partition("@")[0] for kill in done), []
    by_kind = {stage.partition("@")[0]: stage for stage in kills.stages(project.whole)}
    for kind, stage in by_kind.items():
        for number in range(landed[kind], 2):
            kills.forget(project.root, [stage])
            more.append(project.kill(Point(stage, signal.SIGKILL if number else signal.SIGTERM, "time", 0.1)))
            print(more[-1], flush=True)
            assert more[-1].landed == stage
            project.finish()
            project.check_the_end()
    return more


@pytest.mark.fault
def test_of_two_processes_on_one_output_the_second_is_refused(reproduced: Path, tmp_path: Path) -> None:
    """The two begin at once; whichever comes second says who is first, and changes nothing."""
    folder = Path(shutil.copytree(reproduced, tmp_path / "lidr", symlinks=True))
    both = [
        subprocess.Popen(
            ["lidr", "generate", "m2"],
            cwd=folder,
            env=environment(LIDR_TRACKING="off"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=kills.PATIENCE) for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes
    for code, (_, errors) in zip(codes, said, strict=True):
        if code:
            # One that comes within the moment between the first's lock and its number can only say that it is another.
            first = (f"the process {both[codes.index(0)].pid}", "another process")
            said_so = [f"Error: data/m2/responses: {who} is at work on it; wait for it, or end it\n" for who in first]
            assert code == 1 and errors in said_so
    assert kills.contents(folder / "data/m2/responses") == kills.contents(reproduced / "data/m2/responses")
    assert {lock.read_text() for lock in (folder / ".lidr/locks").iterdir()} == {""}


@pytest.mark.fault
def test_of_two_pipelines_at_once_dvc_refuses_the_second(project: Project) -> None:
    first = project.repro()
    kills.wait_for(first, ["generate@m2"])
    second = subprocess.run(["dvc", "repro"], cwd=project.root, env=environment(), capture_output=True, text=True)
    busy = ("is busy, it is being blocked by", "Unable to acquire lock")
    assert second.returncode and any(words in second.stderr for words in busy), second.stderr
    first.communicate(timeout=kills.PATIENCE)
    assert first.returncode == 0
    project.check_the_end()
