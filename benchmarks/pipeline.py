"""The default pipeline (`dvc repro`) in a fresh clone of HEAD: how long it takes, and which stages take it.

    $ python benchmarks/pipeline.py
    | stage | seconds |
    | base  | 6.3     |
    ...

A stage's time is from the line by which DVC announces it to the next such line; what comes before the first is DVC's
own. The clone has no results of an earlier run: with these in git, DVC would skip stages. A pipeline that is killed
keeps the times of the stages that ended, and the next call goes on after them, in the same clone, which is in
.lidr/bench; the stage that was at work begins anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from measuring import CACHE, ROOT, machine
from tables import tell

CLONE, TIMES = CACHE / "pipeline", CACHE / "pipeline.json"
ANNOUNCED = re.compile(r"^Running stage '([^']+)'")
END = ""  # the line after the last
# What would lead the tracking of the clone elsewhere.
ELSEWHERE = ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "LIDR_TRACKING", "DVC_EXP_NAME")


def stage_times(lines: Iterable[tuple[float, str]], start: float) -> Iterator[tuple[str, float]]:
    """Name and seconds of each stage that has ended, from (time, line) of DVC's output; `dvc` is what comes first."""
    name, begun = "dvc", start
    for moment, line in lines:
        announced = ANNOUNCED.match(line)
        if announced or line == END:
            yield name, round(moment - begun, 2)
        if announced:
            name, begun = announced[1], moment


def measure() -> dict[str, Any]:
    """Run what is left of the pipeline in the clone, and tell what each stage took."""
    times = _times()
    # Half-done work of the stage that was killed, by which it would be measured as shorter than it is.
    shutil.rmtree(CLONE / ".lidr", ignore_errors=True)
    for name, seconds in stage_times(_run(), time.perf_counter()):
        times["stages"].setdefault(name, seconds)
        TIMES.write_text(json.dumps(times), "utf-8")
    shutil.rmtree(CLONE)
    TIMES.unlink()
    stages = [{"stage": name, "seconds": seconds} for name, seconds in times["stages"].items()]
    return {"seconds": round(sum(stage["seconds"] for stage in stages), 2), "stages": stages}


def _times() -> dict[str, Any]:
    """The times so far of this commit's pipeline; without any, a clone of it is made."""
    commit = _git("rev-parse", "HEAD", folder=ROOT)
    times = json.loads(TIMES.read_text("utf-8")) if TIMES.exists() else {}
    if times.get("commit") == commit and CLONE.exists():
        return dict(times)
    shutil.rmtree(CLONE, ignore_errors=True)
    CLONE.parent.mkdir(parents=True, exist_ok=True)
    _git("clone", "--quiet", str(ROOT), str(CLONE), folder=ROOT)
    _git("rm", "-rq", "--ignore-unmatch", "dvc.lock", "reports", folder=CLONE)
    return {"commit": commit, "stages": {}}


def _run() -> Iterator[tuple[float, str]]:
    """Lines of `dvc repro` with their time, and END where it has done all; SystemExit where it has not."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= {"PYTHONPATH": str(CLONE / "src"), "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1"}
    # A group of its own: a signal that is meant for other programs of this terminal does not reach it.
    with subprocess.Popen(
        ["dvc", "repro"],
        cwd=CLONE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout
        for line in running.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            yield time.perf_counter(), line
    if running.returncode:
        reason = f"`dvc repro` ended with exit code {running.returncode}, see above"
        raise SystemExit(f"{reason}; the same command goes on after the stages that ended")
    yield time.perf_counter(), END


def _git(*arguments: str, folder: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    chosen = parser.parse_args()
    described = machine("torch", "transformers", "trl", "dvc", "mlflow")
    tell("pipeline", {"machine": described} | measure(), not chosen.no_save)


if __name__ == "__main__":
    main()
