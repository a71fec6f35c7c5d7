"""The default pipeline in a fresh clone of HEAD: how long `dvc repro` takes, and which stages take it.

    $ python benchmarks/pipeline.py
    stage          seconds   share
    base               4.1    1.3%
    prompts@m1         ...
    in all           300.2  100.0%   of which about 80 s importing torch and transformers

A stage's time is from the line by which DVC announces it to the next such line; what comes before the first and after
the last is DVC's own. Importing is timed once, beforehand, and counted for every stage that loads a model.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from measuring import ROOT, machine, save

ANNOUNCED = re.compile(r"^Running stage '([^']+)'")
WITH_MODEL = ("generate", "translate", "train", "mgsm", "baseline", "alpaca")
IMPORTS = "import torch, peft; from transformers import AutoModelForCausalLM, AutoTokenizer"


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
        importing = _seconds([sys.executable, "-c", IMPORTS], clone, environment)
        before, start = _processor_seconds(), time.perf_counter()
        lines = _run([sys.executable, "-m", "dvc", "repro"], clone, environment)
        end = time.perf_counter()
        processor = _processor_seconds() - before
    stages = stage_times(lines, start, end)
    return {
        "seconds": round(end - start, 2),
        "cpu_seconds": round(processor, 2),
        "import_seconds": round(importing, 2),
        "stages_with_model": sum(row["stage"].partition("@")[0] in WITH_MODEL for row in stages),
        "stages": stages,
    }


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> list[tuple[float, str]]:
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout
        for line in running.stdout:
            lines.append((time.perf_counter(), line))
    if running.returncode:
        raise SystemExit(f"dvc repro failed:\n{''.join(line for _, line in lines[-40:])}")
    return lines


def _seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return time.perf_counter() - start


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    chosen = parser.parse_args()
    described = machine("torch", "transformers", "trl", "dvc", "mlflow")
    found = measure()
    print("stage          seconds   share")
    for row in found["stages"]:
        print(f"{row['stage']:<13} {row['seconds']:>8.1f}  {row['seconds'] / found['seconds']:>6.1%}")
    importing = found["import_seconds"] * found["stages_with_model"]
    print(f"in all        {found['seconds']:>8.1f}  100.0%   of which about {importing:.0f} s importing torch and more")
    if not chosen.no_save:
        save("pipeline", {"machine": described, **found})


if __name__ == "__main__":
    main()
