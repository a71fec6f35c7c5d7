"""Counts what `make chaos` did, and what was lost, into a JSON file a part, which docs/reliability.md is made from.

    LIDR_CHAOS_RESULTS=benchmarks/results/chaos/kills.json python -m pytest ...

A case of tests/reliability/test_bad_*.py is an input, a test that is marked `fault` a fault; a test that tells more
than one says how many by `record_property`: `inputs`, `faults`, `examples`, `kills`, `soak`. A test that was skipped
counts nowhere, one that failed is counted as lost.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

# The room that a fault comes from, by the folder of its test.
ROOMS = {
    "tests/reliability/test_faults.py": "files and processes",
    "tests/pipeline": "files and processes",
    "tests/evals": "judge and servers",
    "tests/engines": "memory of the device",
    "tests/tracking": "MLflow",
}


class Tally:
    """What the suite has seen by now; see pytest's hooks for when these are called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inputs: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.examples: dict[str, int] = {}
        self.kills: list[dict[str, Any]] = []
        self.soak: dict[str, Any] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        file, name = report.nodeid.partition("::")[0], report.nodeid.partition("::")[2].partition("[")[0]
        kind = self._kind(file, report)
        if report.failed:
            self.lost[kind] += 1
        if kind == "fuzz" and "examples" in told:  # told when the test is over, so after its call
            self.examples[name] = int(told["examples"])
        if report.when != "call" or not report.passed:
            return
        if kind == "inputs":
            self.inputs[Path(file).stem] += int(told.get("inputs", 1))
        elif kind == "faults":
            self.faults[_room(file)] += int(told.get("faults", 1))
        elif kind == "kills" and "kills" in told:
            self.kills += told["kills"]
        elif kind == "soak":
            self.soak = told["soak"]

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Written after each test, so that a suite that is cut short leaves what it saw."""
        self.write()

    def write(self) -> None:
        found = {
            "kills": self.kills,
            "inputs": dict(sorted(self.inputs.items())),
            "faults": dict(sorted(self.faults.items())),
            "examples": self.examples,
            "soak": self.soak,
            "lost": dict(sorted(self.lost.items())),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")

    @staticmethod
    def _kind(file: str, report: pytest.TestReport) -> str:
        name = Path(file).name
        if name.startswith("test_bad_"):
            return "inputs"
        by_name = {"test_fuzz.py": "fuzz", "test_soak.py": "soak"}
        if name in by_name:
            return by_name[name]
        if "fault" in report.keywords:
            return "faults"
        return "kills" if name == "test_kills.py" else "others"


def _room(file: str) -> str:
    return next(room for folder, room in ROOMS.items() if file.startswith(folder))
