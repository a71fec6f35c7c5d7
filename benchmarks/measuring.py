"""What all benchmarks share: sides measured in turn, each in a process of its own, and one JSON file of results.

    benchmarks/results/training.json:
    {"command": "python benchmarks/training.py", "machine": {"cores": 2, "load_average": 1.2, ...},
     "rows": [{"set": "lab", "seconds": {"ours": [9.1, 9.3, 9.0], "trl": [21.0, 20.7, 21.4]}, ...}]}

Sides take turns (ours, peer, ours, peer, ...), so that what else the machine does falls on both; what is told of a side
is the median of its repetitions and their range. Ratios are medians of the ratios of neighbours in time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

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
    spent["seconds"] = round(time.perf_counter() - start, 4)
    spent["cpu_seconds"] = round(_processor_seconds() - processor, 4)
    spent["peak_bytes"] = _peak_bytes()


def _processor_seconds() -> float:
    # In microseconds, where os.times counts in hundredths of a second.
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def _peak_bytes() -> int:
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    if sys.platform == "darwin":
        return max(own, children)
    # Linux counts in `own` what the parent had when it started this process.
    status = Path("/proc/self/status").read_text("ascii")
    own = int(status.partition("VmHWM:")[2].split(maxsplit=1)[0])
    return 1024 * max(own, children)


def costs(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Seconds, processor seconds and peak memory of each side, as `cost` tells them run by run."""
    return {
        "seconds": {side: [run["seconds"] for run in found] for side, found in runs.items()},
        "cpu_seconds": {side: [run["cpu_seconds"] for run in found] for side, found in runs.items()},
        "peak_bytes": {side: max(run["peak_bytes"] for run in found) for side, found in runs.items()},
    }


def rates(runs: Mapping[str, Sequence[Mapping[str, Any]]], what: str, digits: int) -> dict[str, list[float]]:
    """So many pairs or tokens a second of each side, run by run."""
    return {side: [round(run[what] / run["seconds"], digits) for run in found] for side, found in runs.items()}


def options(doc: str | None, repetitions: int | None) -> argparse.ArgumentParser:
    """The options of all benchmarks."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=repetitions)
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    return parser


def in_new_process(work: Callable[..., Any], *arguments: Any, here: Path, **variables: str) -> Any:
    """What the function gives in a process of its own, in the folder `here` and with these environment variables."""
    inherited = {"LIDR_TRACKING": "off", "TQDM_DISABLE": "1", **variables}
    with (
        mock.patch.dict(os.environ, inherited),
        ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(here,)) as process,
    ):
        return process.submit(work, *arguments).result()


def _begin(here: Path) -> None:
    os.chdir(here)
    sys.stdout = sys.stderr  # what trainers print is not the benchmark's table


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
