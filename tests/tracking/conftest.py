"""A project folder with an empty MLflow store, created once and copied, since creation takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from tracking_project import ROOT, Project

from lidr import config


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}")
    return path


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("LIDR_TRACKING", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    root.mkdir()
    shutil.copyfile(empty_store, root / "mlflow.db")
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    monkeypatch.chdir(root)
    return Project(root, _settings())


def _settings() -> config.Settings:
    """The project's settings, with a test's changes."""
    settings = config.load()
    replace = msgspec.structs.replace
    return replace(
        settings,
        profile="lab",
        seed=42,
        languages=("es", "de", "fr", "ru"),
        train=replace(settings.train, dpo=settings.train.dpo | {"beta": 0.1}),
        iterations={name: replace(iteration, train={}) for name, iteration in settings.iterations.items()},
        prompts=replace(settings.prompts, per_iteration=300),
        tracking=replace(settings.tracking, experiment="lidr", system_metrics=False),
    )
