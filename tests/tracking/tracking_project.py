"""A project in a temporary folder, and the contents of its MLflow store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tracking_client import Store

from lidr import config
from lidr.tracking import Job, StageRun, store, sync

ROOT = Path(__file__).parents[2]


def job(
    stage: str,
    model: str | None = None,
    inputs: Sequence[Path] = (),
    outputs: Sequence[Path] = (),
    log_to: Callable[[StageRun], None] = lambda run: None,
) -> Job:
    return Job(stage=stage, model=model, inputs=tuple(inputs), outputs=tuple(outputs), log_to=log_to)


class Project(Store):
    """A project in a temporary folder, as the working folder."""

    def __init__(self, root: Path, settings: config.Settings) -> None:
        self.root, self.settings = root, settings

    @property
    def uri(self) -> str:
        """The URI of the server that the environment names, or of the project's store."""
        return store.tracking_uri(self.root)

    def log(self, *jobs: Job, outer: str | None = None) -> list[str]:
        """Sync these jobs; returns the names of added runs."""
        return sync(self.settings, jobs, outer)

    def file(self, name: str, content: str) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path
