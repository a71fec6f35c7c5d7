"""The working folder of the audit's tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of this test, as the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
