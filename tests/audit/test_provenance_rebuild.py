"""A rebuild from nothing: a project of two `cp`s, by DVC itself, and the comparison alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from proven_project import git

from lidr.provenance.lock import LockedStage
from lidr.provenance.rebuild import different_outputs, rebuild
from lidr.provenance.verify import BrokenLink

STAGES = """
stages:
  first: {cmd: cp source.txt a.txt, deps: [source.txt], outs: [a.txt]}
  second: {cmd: %s, deps: [a.txt], outs: [b.txt]}
"""


def project(folder: Path, second: str) -> None:
    """A committed project that has run once, with its data beside it as usual."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    git("init", "-q", str(folder))
    Path("source.txt").write_text("text\n", "utf-8")
    Path("params.yaml").write_text("{}\n", "utf-8")
    Path("dvc.yaml").write_text(STAGES % second, "utf-8")
    for command in (("dvc", "init", "-q"), ("dvc", "repro", "-q")):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    git("add", "--all")
    git("commit", "-qm", "Run")


def test_the_same_bytes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project(tmp_path, "cp a.txt b.txt")
    # Neither what is changed here nor what DVC has in its cache is used.
    Path("source.txt").write_text("changed, not committed\n", "utf-8")
    found = rebuild()
    assert found.found.startswith("2 stages of commit ")
    assert found.found.endswith(" run from nothing give the same 2 outputs")


def test_an_output_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project(tmp_path, "'date +%N > b.txt'")
    with pytest.raises(
        BrokenLink, match=r"rebuild: 1 outputs are not those of commit [0-9a-f]{12}:\n  b.txt of second: "
    ):
        rebuild()


def stage(name: str, **outs: str) -> LockedStage:
    return LockedStage(name, "cmd", {}, {}, outs)


def test_differences_are_listed_in_the_order_of_the_pipeline() -> None:
    expected = {"a": stage("a", one="1", two="2"), "b": stage("b", three="3")}
    assert different_outputs(expected, expected) == []
    found = {"a": stage("a", one="1", two="x", more="m"), "c": stage("c", four="4")}
    assert different_outputs(expected, found) == [
        "two of a: 2, now x",
        "more of a: not there, now m",
        "three of b: 3, now not there",
        "four of c: not there, now 4",
    ]
