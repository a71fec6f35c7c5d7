"""Shared fixtures: tests do not log to MLflow, and get a project as the working folder."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest
from factories import ROOT, edited

from lidr import config

# These tests need MLflow, or the whole pipeline with it.
WITH_MLFLOW = tuple(ROOT / "tests" / name for name in ("tracking", "pipeline", "reliability/test_soak.py"))

# The slowest tests start first, so that two workers end together. While one worker makes the small pipeline of
# tests/pipeline, the other has other tests to run.
FIRST = (
    "pipeline/test_clean_clone.py",
    "engines/test_vllm_pipeline.py",
    "engines",
    "test_real_models.py",
    "models",
    "training",
    "pipeline",
    "tracking",
)
# It shares the experiments of pipeline/test_browser.py: if both ran at once, one worker would wait for the other.
LAST = "pipeline/test_experiments.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(ROOT / "tests").as_posix()
        found = next((number for number, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))
        return len(FIRST) + 1 if name == LAST else found

    items.sort(key=place)


@pytest.fixture(autouse=True, scope="module")
def imports_stay() -> None:
    """Spare garbage collection the objects of imported libraries: visiting them took half of a small training."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_tracking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not any(request.path.is_relative_to(folder) for folder in WITH_MLFLOW):
        monkeypatch.setenv("LIDR_TRACKING", "off")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project with the committed params.yaml, as the working folder."""
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def two_languages(root: Path) -> config.Settings:
    """The project's settings with English as the dominant language, Spanish and German beside it."""
    (root / "params.yaml").write_text(edited(("languages: [es, de, fr, ru]", "languages: [es, de]")), "utf-8")
    return config.load()


@pytest.fixture(scope="session")
def project_settings() -> config.Settings:
    """The settings of the committed params.yaml."""
    return config.load(ROOT / "params.yaml")
