"""docs/reliability.md and SECURITY.md name tests that exist."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import Any

import pytest
from factories import ROOT

RESULTS = sorted((ROOT / "benchmarks" / "results" / "chaos").glob("*.json"))

DEFINED = {
    name
    for path in (ROOT / "tests").rglob("*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.M)
}


@pytest.mark.parametrize("document", ["docs/reliability.md", "SECURITY.md"])
def test_the_tests_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 10
    assert named - DEFINED == set()
    files = set(re.findall(r"tests/[\w/]+\.py", text))
    assert [name for name in files if not (ROOT / name).is_file()] == []


@pytest.mark.skipif(not RESULTS, reason="`make chaos` has not run in this checkout")
@pytest.mark.skipif("LIDR_CHAOS_RESULTS" in os.environ, reason="`make chaos` is counting: the table comes after it")
def test_the_counts_are_what_the_suite_told() -> None:
    """The table of docs/reliability.md has a row for each count of the last `make chaos`, and no other."""
    parts = [json.loads(path.read_text("utf-8")) for path in RESULTS]
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    table = text.partition("<!-- counts: made by docs/generate.py -->")[2].partition("<!-- end of counts -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    header, rule, *counts = rows
    assert header == ["what", "of which kind", "cases", "not as promised"]
    assert all(set(cell) <= set("-:") for cell in rule) and all(len(row) == 4 for row in counts)
    told = [sum(len(part["kills"]) for part in parts)]
    for name in ("inputs", "faults", "examples"):
        told += [counted for _, counted in sorted(total(parts, name).items())]
    told += [part["soak"]["iterations"] for part in parts if part["soak"]]
    assert [int(row[2].replace(",", "")) for row in counts] == told
    assert total(parts, "inputs").total() >= 300
    lost = total(parts, "lost")
    assert sum(int(row[3]) for row in counts if row[3]) == lost.total() - lost["others"]


def total(parts: list[dict[str, Any]], name: str) -> Counter[str]:
    return sum((Counter(part[name]) for part in parts), Counter())
