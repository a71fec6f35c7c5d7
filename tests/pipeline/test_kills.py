"""`dvc repro` resumes after a kill anywhere: outputs are complete, finished work is kept, results are the same.

LIDR_CHAOS_KILLS=30 kills a fresh pipeline 30 times, each stage at least twice (`make chaos`). Without it, a few stages
of a finished pipeline run again and are killed. LIDR_CHAOS_SEED changes the points.
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

# The second run takes up the first one's shards, and goes on after DVC's end. Stages that import torch take longest to
# start, so the others are killed more often; tests/training/test_checkpoints.py kills a training.
FEW = [
    Point("generate@m2", signal.SIGKILL, "shard"),
    Point("generate@m2", signal.SIGTERM, "shard", target="dvc"),
    Point("score@m2", signal.SIGTERM, "time", 0.5),
    Point("pairs@m2", signal.SIGKILL, "write", target="stage"),
]
# Run again after them, for the bytes of the run in one process.
REMADE = ["prompts@m1", "translate@m2", "audit@m2"]


def test_a_killed_pipeline_goes_on_and_ends_the_same(reproduced: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(reproduced, tmp_path / "lidr", symlinks=True))
    project = Project(root, reproduced, tmp_path / "temporary")
    kills.forget(root, sorted({point.stage for point in FEW}))
    done = [project.kill(point) for point in FEW]
    assert [kill.taken_up for kill in done[:2]] == [0, done[0].shards] and done[0].shards > 0
    kills.forget(root, REMADE)
    first = project.repro()
    kills.wait_for(first, ["translate@m2"])
    second = subprocess.run(["dvc", "repro"], cwd=root, env=environment(), capture_output=True, text=True)
    busy = ("is busy, it is being blocked by", "Unable to acquire lock")
    assert second.returncode and any(words in second.stderr for words in busy), second.stderr
    said, _ = first.communicate(timeout=kills.PATIENCE)
    assert first.returncode == 0, said[-4000:].decode()
    project.check_the_end()


@pytest.mark.skipif(not KILLS, reason="only `make chaos` kills the whole pipeline, which takes a quarter of an hour")
def test_killed_anywhere(reproduced: Path, tmp_path: Path) -> None:
    project = Project(small_pipeline.clone(tmp_path / "lidr"), reproduced, tmp_path / "temporary")
    kills.remove(project.root, kills.outputs(reproduced))  # the committed reports are of the run with all prompts
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
    """Run stages that ended before their second kill again, and kill them at their start."""
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
