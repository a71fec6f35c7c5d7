"""A rebuild from scratch by DVC, of a project of two `cp` stages, and the comparison alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import clones
import pytest
from proven_project import git

from lidr.audit.provenance.differences import METRICS, Difference, between, explained
from lidr.audit.provenance.rebuild import rebuild
from lidr.audit.provenance.state import Stage
from lidr.errors import LidrError
from lidr.records.jsonl import write_json

STAGES = """
stages:
  first: {cmd: cp source.txt a.txt, deps: [source.txt], outs: [a.txt]}
  second: {cmd: %s, deps: [a.txt], outs: [b.txt]}
"""


def project(folder: Path, second: str) -> None:
    """A committed project that has run once, with its data in the work tree."""
    git("init", "-q", str(folder))
    Path("source.txt").write_text("text\n", "utf-8")
    Path("params.yaml").write_text("{}\n", "utf-8")
    Path("dvc.yaml").write_text(STAGES % second, "utf-8")
    for command in (("dvc", "init", "-q"), ("dvc", "repro", "-q")):
        subprocess.run(command, env=clones.environment(), check=True, capture_output=True)
    git("add", "--all")
    git("commit", "-qm", "Run")


def test_an_output_that_differs_is_named(folder: Path) -> None:
    project(folder, "'date +%N > b.txt'")
    # Neither uncommitted changes nor DVC's cache are used.
    Path("source.txt").write_text("changed, not committed\n", "utf-8")
    found = rebuild()
    assert found.found.startswith("2 stages of commit ")
    assert found.found.endswith(" run from nothing give 1 of 2 outputs with the same bytes")
    (line,) = found.table
    assert line.startswith("b.txt  ") and line.endswith("  second, from the same inputs: another processor")


def test_what_the_stages_read_is_fetched_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a remote, `dvc pull` of everything would fail, as in a fresh clone."""
    texts, here = tmp_path / "texts", tmp_path / "project"
    texts.mkdir(), here.mkdir()
    monkeypatch.chdir(texts)
    git("init", "-q", ".")
    Path("source.txt").write_text("text\n", "utf-8")
    git("add", "--all")
    git("commit", "-qm", "Texts")
    monkeypatch.chdir(here)
    git("init", "-q", ".")
    Path("params.yaml").write_text("{}\n", "utf-8")
    Path("dvc.yaml").write_text(STAGES % "cp a.txt b.txt", "utf-8")
    Path("ready").mkdir()
    Path("ready/large.dvc").write_text("outs: [{md5: d41d8cd98f00b204e9800998ecf8427e, path: large}]\n", "utf-8")
    for command in ("dvc init -q", f"dvc import -q {texts} source.txt", "dvc repro -q first second"):
        subprocess.run(command.split(), env=clones.environment(), check=True, capture_output=True)
    git("add", "--all")
    git("commit", "-qm", "Run")
    assert rebuild().found.endswith(" run from nothing give the same 2 outputs")


def stage(name: str, deps: dict[str, str | None], **outs: str | None) -> Stage:
    return Stage(name, "cmd", deps, {}, outs)


def test_differences_are_listed_with_their_reasons_in_the_order_of_the_pipeline(tmp_path: Path) -> None:
    expected = {"a": stage("a", {"in": "0"}, one="1", two="2"), "b": stage("b", {"two": "2"}, three="3")}
    assert between(expected, expected) == []
    found = {"a": stage("a", {"in": "0"}, one="1", two="x"), "b": stage("b", {"two": "x"}, three="y")}
    rounded = [
        Difference("two", "a", "2", "x", "", False),
        Difference("three", "b", "3", "y", "made from two", True),
    ]
    assert between(expected, found) == rounded
    assert explained(expected, found, tmp_path / "none", "the lock")[0] == rounded
    other = {"a": stage("a", {"in": "9"}, one="1", two="x"), "c": stage("c", {}, four="4")}
    assert [(one.path, one.why) for one in between(expected, other)] == [
        ("two", "input in"),
        ("three", "a stage of one of them only"),
        ("four", "a stage of one of them only"),
    ]
    params = Stage("a", "cmd", {"in": "0"}, {"pairs": 1}, {"one": "1", "two": "x"})
    assert between(expected, {"a": params, "b": expected["b"]})[0].why == "parameter pairs"
    with pytest.raises(LidrError, match=r"^the lock: a ran with another input in\n  two  "):
        explained(expected, other, tmp_path / "none", "the lock")


def test_the_level_of_every_benchmark_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level has its name in `lidr compare`; `average` is a place like any other."""
    monkeypatch.chdir(tmp_path)
    interval = {"low": 0.88, "high": 0.95, "n": 250}
    of_m1 = {
        "mgsm": {"es": {"accuracy": 0.9, **interval}},
        "alpaca": {"average": {"win_rate": 0.9, **interval}},
        "harness": {"arc_easy": {"score": 0.92, **interval}},
    }
    write_json(METRICS, {"m1": of_m1})
    git("init", "-q", ".")
    git("add", "--all")
    git("commit", "-qm", "Figures")
    assert explained({}, {}, METRICS, "the lock") == ([], ("3 of 3 figures of the comparison are the same",))
    write_json(METRICS, {"m1": of_m1 | {"harness": {"arc_easy": {"score": 0.04, **interval}}}})
    with pytest.raises(
        LidrError, match=r"^the lock: harness score of m1, arc_easy is outside of its interval\n  harness"
    ):
        explained({}, {}, METRICS, "the lock")
