"""The lab's base and an adapter on it, for all tests of engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from at_hand import KINDS, AtHand, opened
from factories import random_adapter

from lidr import config
from lidr.models import base


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, project_settings: config.Settings) -> Path:
    """m0 and m1: the base, and an adapter of random weights, small enough that answers stay answers."""
    folder = tmp_path_factory.mktemp("models")
    base.run(project_settings, folder / "m0")
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    random_adapter(folder, 0.01, modules, r=16)
    return folder


@pytest.fixture(scope="session", params=KINDS)
def at_hand(request: pytest.FixtureRequest, models: Path) -> Iterator[AtHand]:
    """Each engine that can run here, opened once for all tests."""
    with opened(request.param, models) as found:
        yield found
