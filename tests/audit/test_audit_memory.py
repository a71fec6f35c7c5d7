"""The audit keeps counts, not rows: memory does not grow with the data."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import made
import pytest
from factories import ROOT

from lidr import audit, config
from lidr.audit import blocks, sample, story_blocks

FEW, MANY = 800, 2_400
# Ids of prompts are kept, to see one twice: 1 GB for 10 million pairs.
BYTES_PER_ROW = 100


def peak(settings: config.Settings, folder: Path, rows: int) -> int:
    """Bytes that the audit of so many rows had at once, at most."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert made.write_iteration(settings, rows // (2 * len(settings.languages))) == rows
        tracemalloc.start()
        try:
            report = audit.measure(settings, "m1", None, {})
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert report.figures["counts"]["pairs"] + report.figures["counts"]["drops"] == rows


def test_memory_per_row_is_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.load(ROOT / "profiles" / "lab.yaml")
    # A sample that is full with the smaller data already.
    monkeypatch.setattr(sample, "SIZE", 16)
    # And blocks that are; what several processes have at once is a few blocks, the more the busier the machine is.
    monkeypatch.setattr(story_blocks, "BLOCK", 1 << 10)
    monkeypatch.setattr(blocks, "LARGEST", 1)
    monkeypatch.setattr(blocks, "cores_for_copies", lambda: 1)
    peak(settings, tmp_path / "warm", 80)  # fills what libraries keep from their first use on
    few = peak(settings, tmp_path / "few", FEW)
    many = peak(settings, tmp_path / "many", MANY)
    assert (many - few) / (MANY - FEW) < BYTES_PER_ROW
