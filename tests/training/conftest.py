"""A project with a small base and pairs for two iterations, small enough to train in a second."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_training import configured, pair, take_base

from lidr import config, paths
from lidr.records.jsonl import write_rows

Configure = Callable[..., config.Settings]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a base and 60 pairs, 22 of them held out: 10 steps."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        take_base()
        for iteration in ("m1", "m2"):
            write_rows(paths.pairs(iteration) / paths.PAIRS, [pair(number) for number in range(60)])
    return folder


@pytest.fixture
def configure(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """A function that writes the project's params.yaml; each test has its own copy."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return configured
