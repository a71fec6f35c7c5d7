"""The report does not depend on where blocks end, nor on how many processes count them; and none outlives an error."""

from __future__ import annotations

from pathlib import Path

import made
import pytest
from factories import ROOT
from processes import children

from lidr import audit, config, paths
from lidr.audit import blocks, story_blocks
from lidr.errors import InputError
from lidr.jsonl import read_rows
from lidr.records import Prompt
from lidr.side_by_side import NotInOrderError

PROMPTS = 60


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Settings:
    """An iteration of sixty prompts in five languages in the working folder."""
    monkeypatch.chdir(tmp_path)
    settings = config.load(ROOT / "profiles" / "lab.yaml")
    made.write_iteration(settings, PROMPTS)
    return settings


def report(settings: config.Settings, monkeypatch: pytest.MonkeyPatch, block: int, processes: int) -> audit.Report:
    """The report of blocks of about so many prompts, two in a part."""
    line = -(-paths.prompt_file("m1", settings.dominant).stat().st_size // PROMPTS)
    monkeypatch.setattr(story_blocks, "BLOCK", block * line)
    monkeypatch.setattr(blocks, "PARTS", max(1, PROMPTS // block // processes // 2))
    monkeypatch.setattr(blocks, "SMALLEST", 1)
    monkeypatch.setattr(blocks, "cores_for_copies", lambda: processes)
    items = list(read_rows(paths.prompt_file("m1", "es"), Prompt))[::7]
    return audit.measure(settings, "m1", None, {"tests": items})


@pytest.mark.parametrize(("block", "processes"), [(1, 1), (7, 1), (7, 2), (25, 3)])
def test_the_report_is_the_same_however_it_is_counted(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch, block: int, processes: int
) -> None:
    whole = report(settings, monkeypatch, PROMPTS, 1)
    assert whole.figures["counts"]["prompts"] == PROMPTS and whole.overlaps and whole.pairs and whole.drops
    parts = report(settings, monkeypatch, block, processes)
    assert parts == whole
    # Keys in the same order, too: metrics.json is compared byte by byte.
    assert repr(parts.figures) == repr(whole.figures)


def test_the_report_is_the_same_where_stories_come_one_by_one(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = report(settings, monkeypatch, PROMPTS, 1)
    # Not as lidr writes it, but the same rows.
    answers = paths.response_file("m1", "es")
    answers.write_bytes(answers.read_bytes().replace(b'"lang":"es"', b'"lang": "es"', 1))
    monkeypatch.setattr(blocks, "AT_ONCE", 7)
    with pytest.raises(NotInOrderError):
        for block in story_blocks.files(settings, "m1"):
            story_blocks.stories(settings, "m1", block)
    again = report(settings, monkeypatch, 7, 2)
    assert again == whole
    assert repr(again.figures) == repr(whole.figures)


def test_all_of_few_prompts_are_counted_here(settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a copy was made")

    monkeypatch.setattr("lidr.copies.Copies", refuse)
    assert report(settings, monkeypatch, PROMPTS, 8).figures["counts"]["prompts"] == PROMPTS


def test_a_row_without_a_prompt_is_an_error_and_leaves_no_process(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = paths.response_file("m1", "es")
    answers.write_bytes(answers.read_bytes().replace(b'"made-40"', b'"lost-40"'))
    before = children()
    with pytest.raises(InputError, match=r"lost-40|made-40"):
        report(settings, monkeypatch, 7, 2)
    assert children() <= before
