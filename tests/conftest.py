"""What all tests share: nothing is logged to MLflow, and a project folder that is the working folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from factories import ROOT, edited

from lidr import config

# Their subject is MLflow itself, or the whole pipeline with it.
WITH_MLFLOW = tuple(ROOT / "tests" / name for name in ("tracking", "pipeline", "reliability/test_soak.py"))

# What takes longest begins first, so that two workers end at the same time; and while one of them makes the small
# pipeline for the tests of tests/pipeline, the other has other work than waiting for it.
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
# It takes the experiments of pipeline/test_browser.py; beside that file, one worker would wait for the other.
LAST = "pipeline/test_experiments.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(ROOT / "tests").as_posix()
        found = next((number for number, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))
        return len(FIRST) + 1 if name == LAST else found

    items.sort(key=place)


@pytest.fixture(autouse=True)
def no_tracking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not any(request.path.is_relative_to(folder) for folder in WITH_MLFLOW):
        monkeypatch.setenv("LIDR_TRACKING", "off")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with the committed params.yaml; it is the working folder."""
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
    """The committed params.yaml, for tests that start from the product's own settings."""
    return config.load(ROOT / "params.yaml")
