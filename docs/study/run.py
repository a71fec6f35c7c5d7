"""The paper's claims in miniature: runs the arms of a study by `dvc exp`, and writes docs/study.md from what is logged.

    python docs/study/run.py              the arms that have not run with this code, two at a time, and the document
    python docs/study/run.py sft oracle   these arms alone, and no document

Each arm is an experiment of DVC in a folder of its own: the working folder stays as it is, and what arms share is run
once. An arm that was stopped goes on after its last whole stage.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import exact_translator
import report
from arms import Study, study

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.tracking.describe import fingerprint

AT_ONCE = 2  # arms: a stage keeps little more than one core busy
LOGS = paths.WORK / "study"


def main(wanted: Sequence[str]) -> None:
    plan = study()
    if unknown := [arm for arm in wanted if arm not in plan.arms]:
        raise InputError(f"no arm {unknown[0]!r}; there are {', '.join(plan.arms)}")
    settings = config.load()
    if settings.profile != plan.profile:
        raise InputError(f"the profile {plan.profile!r} is expected; `lidr profile use {plan.profile}`", paths.PARAMS)
    state = fingerprint(settings)
    experiments = {arm: experiment(plan, arm, state) for arm in wanted or plan.arms}
    run(plan, experiments)
    if not wanted:
        report.write(plan, experiments, {arm: minutes(name).read_text("utf-8") for arm, name in experiments.items()})


def run(plan: Study, experiments: Mapping[str, str]) -> None:
    """Run the arms that DVC does not have yet: the first one alone, since the others start from what it makes.

    Raises LidrError, once all have had their turn, where one failed.
    """
    listed = subprocess.run(["dvc", "exp", "list", "--all-commits", "--name-only"], check=True, capture_output=True)
    done = listed.stdout.decode().split()
    missing = [arm for arm, name in experiments.items() if name not in done]
    LOGS.mkdir(parents=True, exist_ok=True)
    with exact_translator.served(), ThreadPoolExecutor(AT_ONCE) as pool:
        whole = [run_arm(plan, arm, experiments[arm]) for arm in missing[:1]]
        whole += pool.map(lambda arm: run_arm(plan, arm, experiments[arm]), missing[1:])
    if failed := [arm for arm, is_whole in zip(missing, whole, strict=True) if not is_whole]:
        logs = ", ".join(str(LOGS / f"{experiments[arm]}.log") for arm in failed)
        raise LidrError(f"{', '.join(failed)} failed ({logs}); the next run goes on from there")


def run_arm(plan: Study, arm: str, name: str) -> bool:
    """One experiment, its output in a log; returns whether it went through."""
    print(f"{arm}: {plan.arms[arm].what}", flush=True)
    values = [part for value in plan.values(arm) for part in ("--set-param", value)]
    command, start = ["dvc", "exp", "run", "--temp", "--name", name, *values], time.monotonic()
    with (LOGS / f"{name}.log").open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    minutes(name).write_text(f"{(time.monotonic() - start) / 60:.1f}", encoding="utf-8")
    return done.returncode == 0


def minutes(name: str) -> Path:
    """Where it stands how long the experiment's last run took."""
    return LOGS / f"{name}.minutes"


def experiment(plan: Study, arm: str, state: str) -> str:
    """The experiment's name, with a hash of what it is: code and settings, and the arm's own values."""
    return f"study-{arm}-{sha256(repr((state, plan.values(arm))).encode()).hexdigest()[:8]}"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LidrError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
