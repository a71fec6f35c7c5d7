"""What is counted, and as what, by the tests' own reports."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tally import Tally


def report(nodeid: str, *, outcome: str = "passed", when: str = "call", fault: bool = False, **told: Any) -> Any:
    return SimpleNamespace(
        nodeid=nodeid,
        when=when,
        passed=outcome == "passed",
        failed=outcome == "failed",
        keywords={"fault": 1} if fault else {},
        user_properties=list(told.items()),
    )


KILL = {"stage": "train@m1", "landed": "train@m1", "signal": "SIGKILL", "taken_up": 0}
ROWS, JUDGES, KILLS = "tests/reliability/test_bad_rows.py", "tests/evals/test_judges.py", "tests/pipeline/test_kills.py"
FUZZ = "tests/reliability/test_fuzz.py"
CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "inputs": ([report(f"{ROWS}::test_a[x]")] * 3, {"inputs": {"test_bad_rows": 3}}),
    "set up": ([report(f"{ROWS}::test_a", when="setup")], {}),
    "skipped": ([report(f"{ROWS}::test_a", outcome="skipped")], {}),
    "failed": ([report(f"{ROWS}::test_a", outcome="failed")], {"lost": {"inputs": 1}}),
    "faults": ([report(f"{JUDGES}::test_a[500]", fault=True)] * 2, {"faults": {"judge and servers": 2}}),
    "many faults": ([report("tests/tracking/test_away.py::test_a", fault=True, faults=25)], {"faults": {"MLflow": 25}}),
    "other test": ([report(f"{JUDGES}::test_b")], {}),
    "other that failed": ([report(f"{JUDGES}::test_b", outcome="failed")], {"lost": {"others": 1}}),
    "kills": ([report(f"{KILLS}::test_a", kills=[KILL])] * 2, {"kills": [KILL, KILL]}),
    "two processes": ([report(f"{KILLS}::test_b", fault=True)], {"faults": {"files and processes": 1}}),
    "examples": (
        [report(f"{FUZZ}::test_a"), report(f"{FUZZ}::test_a", when="teardown", examples=60)],
        {"examples": {"test_a": 60}},
    ),
    "soak": ([report("tests/reliability/test_soak.py::test_a", soak={"n": 9})], {"soak": {"n": 9}}),
}


@pytest.mark.parametrize(("reports", "expected"), CASES.values(), ids=CASES.keys())
def test_reports_are_counted(tmp_path: Path, reports: list[Any], expected: dict[str, Any]) -> None:
    tally = Tally(tmp_path / "results" / "chaos" / "kills.json")
    for one in reports:
        tally.pytest_runtest_logreport(one)
    tally.write()
    empty: dict[str, Any] = {"kills": [], "inputs": {}, "faults": {}, "examples": {}, "soak": {}, "lost": {}}
    assert json.loads(tally.path.read_text()) == empty | expected
