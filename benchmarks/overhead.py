"""What every command costs before it does anything: `dvc repro` with nothing to do, `lidr --help`, and small stages.

    $ python benchmarks/overhead.py
    dvc repro, nothing to do   0.84 [...] s   without code 0.66 [...] s   as many empty stages 0.44 [...] s   1.89 times
    lidr --help                0.31 [...] s   over importing click   0.15 s
    ...

- `dvc repro` runs in a clone of this project whose dvc.lock is made by `dvc commit --force` on files that stand in for
  the outputs, so that nothing is to be done; its peer is a project with as many stages that do nothing at all. Between
  them stands such a clone whose stages depend on no code: what DVC takes for the data and the parameters alone.
- `lidr --help` and each stage that needs no model are compared with the interpreter importing click: prompts, pairs and
  audit on an iteration of four prompts, compare on all models' answers to four problems and four instructions in each
  language of the lab. Processes begin with warm file caches, as the first round is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from made import ITERATION, write_evaluations, write_iteration
from measuring import PARAMS, ROOT, child, figure, machine, python_path, ratios, save, take_turns

from lidr import config

# Stages with their arguments; prompts are the lab's, beside the made-up iteration.
STAGES = {"prompts": ["m2"], "pairs": [ITERATION], "audit": [ITERATION], "compare": []}
SMALL = 4  # prompts, problems, instructions


def empty_project(folder: Path, stages: int) -> None:
    """A git repository with so many DVC stages that do nothing."""
    folder.mkdir()
    (folder / "unchanged").touch()
    # A stage that depends on nothing would run each time.
    lines = "".join(f"  nothing{number}:\n    cmd: 'true'\n    deps: [unchanged]\n" for number in range(stages))
    (folder / "dvc.yaml").write_text(f"stages:\n{lines}", encoding="utf-8")
    _run(["git", "init", "--quiet"], folder)
    _run([*_dvc(), "init", "--quiet"], folder)
    _run([*_dvc(), "repro", "--quiet"], folder)


def finished_clone(folder: Path, with_code: bool = True) -> int:
    """A clone of HEAD with stand-ins for all outputs, committed to DVC as they are; returns its number of stages."""
    from dvc.repo import Repo

    _run(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
    if not with_code:
        pipeline = (folder / "dvc.yaml").read_text("utf-8")
        (folder / "dvc.yaml").write_text(re.sub(r"(?m)^ +- src/.*\n", "", pipeline), "utf-8")
        (folder / "dvc.lock").unlink()
    with Repo(str(folder)) as repo:
        stages = [stage for stage in repo.index.stages if not stage.is_data_source]
        for stage in stages:
            for out in stage.outs:
                path = Path(out.fs_path)
                if not path.exists():
                    path = path if path.suffix else path / "stand-in"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text("{}\n", encoding="utf-8")
    _run([*_dvc(), "commit", "--force", "--quiet", "dvc.yaml"], folder)
    status = _run([*_dvc(), "repro", "--dry"], folder)
    if "Running stage" in status:
        raise SystemExit(f"there is something to do:\n{status}")
    return len(stages)


def measure_repro(repetitions: int) -> dict[str, Any]:
    """`dvc repro` of this project and of one with as many empty stages, in turn."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as name:
        folders = {side: Path(name) / side for side in ("ours", "data", "empty")}
        stages = finished_clone(folders["ours"])
        finished_clone(folders["data"], with_code=False)
        empty_project(folders["empty"], stages)
        repro = [*_dvc(), "repro", "-q"]
        seconds = _warm_turns({side: partial(_time, repro, folder) for side, folder in folders.items()}, repetitions)
    return {"what": "dvc repro", "stages": stages, "seconds": seconds}


def measure_commands(repetitions: int) -> list[dict[str, Any]]:
    """`lidr --help` and each small stage, in turn with the interpreter importing click."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as name:
        here = Path(name)
        params = PARAMS.read_text("utf-8")
        few = re.sub(r"(?m)^  per_iteration: \d+", f"  per_iteration: {SMALL}", params)
        (here / "params.yaml").write_text(few, "utf-8")
        child(__file__, "--write", cwd=here)
        commands = {"click": [sys.executable, "-c", "import click"], "lidr --help": [*_lidr(), "--help"]}
        commands |= {f"lidr {stage}": [*_lidr(), stage, *arguments] for stage, arguments in STAGES.items()}
        seconds = _warm_turns(
            {what: lambda command=command: _time(command, here) for what, command in commands.items()}, repetitions
        )
    return [
        {"what": what, "seconds": {"ours": found, "click": seconds["click"]}}
        for what, found in seconds.items()
        if what != "click"
    ]


def write_small() -> None:
    """An iteration and evaluations of all models, small enough that only overhead is left."""
    settings = config.load(PARAMS)
    write_iteration(settings, SMALL)
    write_evaluations(settings, SMALL)


def over(row: dict[str, Any]) -> list[float]:
    """Seconds more than importing click, by repetition."""
    return [a - b for a, b in zip(row["seconds"]["ours"], row["seconds"]["click"], strict=True)]


def _warm_turns(sides: dict[str, Callable[[], float]], repetitions: int) -> dict[str, list[float]]:
    return {name: found[1:] for name, found in take_turns(sides, repetitions + 1).items()}


def _time(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    _run(command, folder)
    return round(time.perf_counter() - start, 4)


def _run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": python_path(), "LIDR_TRACKING": "off", "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def _dvc() -> list[str]:
    return [sys.executable, "-m", "dvc"]


def _lidr() -> list[str]:
    return [sys.executable, "-c", "from lidr.cli import main; main()"]


def _line(row: dict[str, Any]) -> str:
    if row["what"] == "dvc repro":
        ours, data, empty = (row["seconds"][side] for side in ("ours", "data", "empty"))
        return (
            f"dvc repro, nothing to do   {figure(ours, 2)} s   without code {figure(data, 2)} s   "
            f"{row['stages']} empty stages {figure(empty, 2)} s   {figure(ratios(ours, empty), 2)} times"
        )
    return f"{row['what']:<26} {figure(row['seconds']['ours'], 2)} s   over importing click {median(over(row)):.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        write_small()
        print(json.dumps({}))
        return
    report: dict[str, Any] = {"machine": machine("dvc", "click", "msgspec"), "rows": []}
    report["rows"] += measure_commands(chosen.repetitions)
    report["rows"].append(measure_repro(chosen.repetitions))
    for row in report["rows"]:
        print(_line(row))
    if not chosen.no_save:
        save("overhead", report)


if __name__ == "__main__":
    main()
