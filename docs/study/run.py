"""The paper's claims in miniature: runs the arms of a study by `dvc exp`, and writes docs/study.md from what is logged.

    python docs/study/run.py              the arms that this commit has not run yet, two at a time, and the document
    python docs/study/run.py sft oracle   these arms alone, and no document

Each arm is an experiment of DVC in a folder of its own: the working folder stays as it is, and what arms share is run
once. An arm that was stopped goes on after its last whole stage.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import exact_translator
import report
from arms import Study, study

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.git import git

AT_ONCE = 2  # arms: a stage keeps little more than one core busy
LOGS = paths.WORK / "study"


def main(wanted: Sequence[str]) -> None:
    plan = study()
    if unknown := [arm for arm in wanted if arm not in plan.arms]:
        raise InputError(f"no arm {unknown[0]!r}; there are {', '.join(plan.arms)}")
    if config.load().profile != plan.profile:
        raise InputError(f"the profile {plan.profile!r} is expected; `lidr profile use {plan.profile}`", paths.PARAMS)
    if changed := git("status", "--porcelain", "--untracked-files=no").splitlines():
        raise InputError(f"not as it was committed, and an arm is named by its commit: {changed[0][3:]}")
    run(plan, list(wanted) or list(plan.arms))
    if not wanted:
        took = {arm: minutes(arm).read_text("utf-8").strip() for arm in plan.arms}
        report.write(plan, {arm: experiment(arm) for arm in plan.arms}, took)


def run(plan: Study, arms: Sequence[str]) -> None:
    """Run the arms that DVC does not have yet: the first one alone, since the others start from what it makes.

    Raises LidrError, once all have had their turn, where one failed.
    """
    listed = subprocess.run(["dvc", "exp", "list", "--name-only"], check=True, capture_output=True, text=True)
    missing = [arm for arm in arms if experiment(arm) not in listed.stdout.split()]
    LOGS.mkdir(parents=True, exist_ok=True)
    with exact_translator.served(), ThreadPoolExecutor(AT_ONCE) as pool:
        whole = [run_arm(plan, arm) for arm in missing[:1]]
        whole += pool.map(lambda arm: run_arm(plan, arm), missing[1:])
    if failed := [arm for arm, is_whole in zip(missing, whole, strict=True) if not is_whole]:
        logs = ", ".join(str(LOGS / f"{arm}.log") for arm in failed)
        raise LidrError(f"{', '.join(failed)} failed ({logs}); the next run goes on from there")


def run_arm(plan: Study, arm: str) -> bool:
    """One experiment, its output in a log; returns whether it went through."""
    print(f"{arm}: {plan.arms[arm].what}", flush=True)
    values = [part for value in plan.values(arm) for part in ("--set-param", value)]
    command, start = ["dvc", "exp", "run", "--temp", "--name", experiment(arm), *values], time.monotonic()
    with (LOGS / f"{arm}.log").open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    minutes(arm).write_text(f"{(time.monotonic() - start) / 60:.1f}\n", encoding="utf-8")
    return done.returncode == 0


def minutes(arm: str) -> Path:
    """Where it stands how long the arm's last run took."""
    return LOGS / f"{experiment(arm)}.minutes"


def experiment(arm: str) -> str:
    """The experiment's name. It holds the commit: with other code it is another experiment."""
    return f"study-{arm}-{_commit()}"


@cache
def _commit() -> str:
    """Asked for once: a commit that is made beside a study is none of its affair."""
    return git("rev-parse", "--short=8", "HEAD")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LidrError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
