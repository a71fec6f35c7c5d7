"""The default pipeline (`dvc repro`) in a fresh clone of HEAD: how long it takes, and which stages take it.

    $ python benchmarks/pipeline.py
    | stage | seconds |
    | base  | 6.3     |
    ...

A stage's time is from the line by which DVC announces it to the next such line; what comes before the first and after
the last is DVC's own.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from measuring import ROOT, machine
from tables import tell

ANNOUNCED = re.compile(r"^Running stage '([^']+)'")


def stage_times(lines: Iterable[tuple[float, str]], start: float, end: float) -> list[dict[str, Any]]:
    """Seconds of each stage, from (time, line) of DVC's output; `dvc` is what is before the first stage."""
    marks: list[tuple[str, float]] = [("dvc", start)]
    for moment, line in lines:
        announced = ANNOUNCED.match(line)
        if announced:
            marks.append((announced[1], moment))
    ends = [moment for _, moment in marks[1:]] + [end]
    return [
        {"stage": name, "seconds": round(until - begun, 2)} for (name, begun), until in zip(marks, ends, strict=True)
    ]


def measure() -> dict[str, Any]:
    """Clone HEAD, run the pipeline there, and tell what took how long."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as name:
        clone = Path(name) / "lidr"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        environment = {
            **{key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(clone / "src"),
            "PYTHONUNBUFFERED": "1",
            "DVC_NO_ANALYTICS": "1",
        }
        start = time.perf_counter()
        lines = _run(("dvc", "repro"), clone, environment)
        end = time.perf_counter()
    return {"seconds": round(end - start, 2), "stages": stage_times(lines, start, end)}


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> list[tuple[float, str]]:
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout
        for line in running.stdout:
            lines.append((time.perf_counter(), line))
    if running.returncode:
        last = "".join(line for _, line in lines[-40:])
        raise SystemExit(f"the pipeline failed with exit code {running.returncode}:\n{last}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    chosen = parser.parse_args()
    described = machine("torch", "transformers", "trl", "dvc", "mlflow")
    found = measure()
    tell("pipeline", {"machine": described} | found, not chosen.no_save)


if __name__ == "__main__":
    main()
