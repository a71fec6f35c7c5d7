"""Files in one order are cut at the same ids, whatever rows are missing and however far off a guess is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from factories import prompt, response

from lidr import side_by_side
from lidr.jsonl import write_rows
from lidr.records import Prompt, Response
from lidr.side_by_side import NotInOrderError, SideBySide, rows_by_id

NAMES = [f"p{number}" for number in range(120)]
KEPT = {
    "all": lambda name: True,
    "every tenth": lambda name: name.endswith("7"),
    "the last half": lambda name: int(name[1:]) >= 60,
    "the first half": lambda name: int(name[1:]) < 60,
    "the first": lambda name: name == "p0",
    "the last": lambda name: name == "p119",
}


def text(name: str) -> str:
    """Of very different lengths, so that a file's rows are not where the leader's would have them."""
    return "word " * random.Random(name).choice([1, 2, 3, 400])


@pytest.mark.parametrize("near", [1, 100, 2048])
@pytest.mark.parametrize("block", [1, 1_000, 1 << 20])
@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT.keys())
def test_each_block_has_the_rows_of_its_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: object, block: int, near: int
) -> None:
    monkeypatch.setattr(side_by_side, "BLOCK", block)
    monkeypatch.setattr(side_by_side, "_NEAR", near)
    leader, other = tmp_path / "prompts.jsonl", tmp_path / "responses.jsonl"
    names = [name for name in NAMES if kept(name)]  # type: ignore[operator]
    write_rows(leader, [prompt(name, "en") for name in NAMES])
    write_rows(other, [response(name, "en", text(name)) for name in names])
    files, led, found = SideBySide(leader, [other]), [], []
    for first, second in files:
        ids, rows = rows_by_id(first, Prompt), rows_by_id(second, Response)
        assert rows.keys() <= ids.keys()
        led += ids
        found += rows
    assert (led, found) == (NAMES, names)
    assert sum(1 for _ in files) == sum(1 for _ in files), "they may be gone through again"


def test_rows_behind_those_of_all_ids_are_no_blocks(tmp_path: Path) -> None:
    leader, other = tmp_path / "prompts.jsonl", tmp_path / "responses.jsonl"
    write_rows(leader, [prompt(name, "en") for name in NAMES[:9]])
    write_rows(other, [response(name, "en") for name in NAMES[:10]])
    with pytest.raises(NotInOrderError):
        list(SideBySide(leader, [other]))


def test_an_id_that_comes_twice_is_seen_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "BLOCK", 1)
    leader = tmp_path / "prompts.jsonl"
    write_rows(leader, [prompt(name, "en") for name in ("a", "b", "a")])
    with pytest.raises(NotInOrderError):
        list(SideBySide(leader, []))
