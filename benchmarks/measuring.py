"""What all benchmarks share: sides measured in turn, each in a process of its own, and one JSON file of results.

    benchmarks/results/training.json:
    {"command": "python benchmarks/training.py", "machine": {"cores": 2, "load_average": 1.2, ...},
     "rows": [{"set": "lab", "seconds": {"ours": [9.1, 9.3, 9.0], "trl": [21.0, 20.7, 21.4]}, ...}]}

Sides take turns (ours, peer, ours, peer, ...), so that what else the machine does falls on both; what is told of a side
is the median of its repetitions and their range. Ratios are medians of the ratios of neighbours in time.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CACHE = ROOT / ".lidr" / "bench"
PARAMS = ROOT / "profiles" / "lab.yaml"


def take_turns(sides: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, list[Any]]:
    """What each side gives, by repetition; all sides once, then all sides again."""
    found: dict[str, list[Any]] = {name: [] for name in sides}
    for _ in range(repetitions):
        for name, side in sides.items():
            found[name].append(side())
    return found


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """`above` over `below`, repetition by repetition."""
    return [a / b for a, b in zip(above, below, strict=True)]


def figure(values: Sequence[float], digits: int = 1) -> str:
    """`9.1 [9.0, 9.3]`: the median and the range."""
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
    return f"{middle} [{low}, {high}]"


@contextmanager
def cost() -> Iterator[dict[str, float]]:
    """Fills in what the block took: wall seconds, processor seconds, and the peak memory of the largest process so far.

    Of the processes that the block started, those that have ended within it count.
    """
    spent: dict[str, float] = {}
    start, processor = time.perf_counter(), _processor_seconds()
    yield spent
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    spent["seconds"] = round(time.perf_counter() - start, 4)
    spent["cpu_seconds"] = round(_processor_seconds() - processor, 4)
    spent["peak_bytes"] = peak * (1 if sys.platform == "darwin" else 1024)


def _processor_seconds() -> float:
    # In microseconds, where os.times counts in hundredths of a second.
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def costs(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Seconds, processor seconds and peak memory of each side, as `cost` tells them run by run."""
    return {
        "seconds": {side: [run["seconds"] for run in found] for side, found in runs.items()},
        "cpu_seconds": {side: [run["cpu_seconds"] for run in found] for side, found in runs.items()},
        "peak_bytes": {side: max(run["peak_bytes"] for run in found) for side, found in runs.items()},
    }


def child(script: str, *arguments: str, cwd: Path, python: str = sys.executable, **variables: str) -> dict[str, Any]:
    """Run a benchmark's own script in another process; its last line of output is the JSON that it found."""
    command = [python, str(Path(script).resolve()), *arguments]
    # This tree's sources first, whatever is installed.
    sources = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": sources, "LIDR_TRACKING": "off", "TQDM_DISABLE": "1", **variables}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def machine(*packages: str) -> dict[str, Any]:
    """What the figures are measured on, with the versions of these packages."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return {
        "processor": models[0].partition(": ")[2] if models else platform.processor(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as torch finds"),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def save(name: str, found: Mapping[str, Any]) -> Path:
    """Write a benchmark's results, with the command that makes them, to benchmarks/results/<name>.json."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    text = json.dumps({"command": f"python benchmarks/{name}.py", **found}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path
