"""Where iterations are made up and audited."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of this test's own; it is the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
