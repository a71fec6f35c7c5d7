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
from pathlib import Path

import kills
import pytest
import small_pipeline
from kills import Kill, Point, Project
from small_pipeline import environment

pytestmark = pytest.mark.pipeline

KILLS = int(os.environ.get("LIDR_CHAOS_KILLS", "0"))
SEED = int(os.environ.get("LIDR_CHAOS_SEED", "0"))

# Two in the same stage, of which the second must find the shards of the first.
FEW = [
    Point("generate@m2", signal.SIGKILL, "shard"),
    Point("generate@m2", signal.SIGTERM, "shard"),
    Point("pairs@m2", signal.SIGKILL, "write"),
    Point("train@m2", signal.SIGTERM, "time", 0.8),
]


def copied(reproduced: Path, folder: Path, stages: list[str]) -> Project:
    """A copy in which these stages have not run yet."""
    root = Path(shutil.copytree(reproduced, folder / "lidr", symlinks=True))
    kills.forget(root, stages)
    return Project(root, reproduced, folder / "temporary")


def test_a_killed_pipeline_goes_on_and_ends_the_same(reproduced: Path, tmp_path: Path) -> None:
    project = copied(reproduced, tmp_path, sorted({point.stage for point in FEW}))
    done = [project.kill(point) for point in FEW]
    assert [kill.taken_up for kill in done[:2]] == [0, done[0].shards] and done[0].shards > 0
    project.finish()
    project.check_the_end()


@pytest.mark.parametrize(("account", "stays"), [("", False), ('{"read": {"a', False), ('{"read": {}}', True)])
def test_an_account_that_a_kill_cut_off_is_removed(tmp_path: Path, account: str, stays: bool) -> None:
    kills.remove_cut_account(tmp_path)  # there may be none yet
    path = tmp_path / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(account)
    kills.remove_cut_account(tmp_path)
    assert path.exists() == stays


@pytest.mark.skipif(not KILLS, reason="only `make chaos` kills the whole pipeline, which takes a quarter of an hour")
def test_killed_anywhere(reproduced: Path, tmp_path: Path) -> None:
    project = Project(small_pipeline.clone(tmp_path / "lidr"), reproduced, tmp_path / "temporary")
    kills.remove(project.root, kills.outputs(reproduced))  # git has the reports of the run with all prompts
    done = []
    for point in kills.points(kills.stages(reproduced), KILLS, SEED):
        done.append(project.kill(point))
        print(done[-1], flush=True)
    project.finish()
    project.check_the_end()
    _kill_those_that_are_missing(project, done)
    small_pipeline.run("lidr", "track", cwd=project.root)
    runs = small_pipeline.store(project.root).runs()
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED", "KILLED"}, "a run that nobody works on is open"


def _kill_those_that_are_missing(project: Project, done: list[Kill]) -> None:
    """What ended before it could be killed twice is made anew, and killed at its beginning."""
    landed = Counter(kill.landed.partition("@")[0] for kill in done)
    by_kind = {stage.partition("@")[0]: stage for stage in kills.stages(project.whole)}
    for kind, stage in by_kind.items():
        for number in range(landed[kind], 2):
            kills.forget(project.root, [stage])
            kill = project.kill(Point(stage, signal.SIGKILL if number else signal.SIGTERM, "time", 0.1))
            print(kill, flush=True)
            assert kill.landed == stage
            project.finish()
            project.check_the_end()


@pytest.mark.fault
def test_of_two_pipelines_at_once_dvc_refuses_the_second(reproduced: Path, tmp_path: Path) -> None:
    project = copied(reproduced, tmp_path, ["train@m2"])
    first = project.repro()
    kills.wait_for(first, ["train@m2"])
    second = subprocess.run(["dvc", "repro"], cwd=project.root, env=environment(), capture_output=True, text=True)
    busy = ("is busy, it is being blocked by", "Unable to acquire lock")
    assert second.returncode and any(words in second.stderr for words in busy), second.stderr
    first.communicate(timeout=kills.PATIENCE)
    assert first.returncode == 0
    project.check_the_end()
