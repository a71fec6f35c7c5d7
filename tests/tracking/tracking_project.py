"""A project in a temporary folder, and what its MLflow store has by now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass
class Project:
    """A project in a temporary folder, which is the working folder."""

    root: Path
    settings: config.Settings

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(store.tracking_uri(self.root))

    def log(self, *jobs: Job, outer: str | None = None) -> tuple[str, ...]:
        """Names of the runs that a sync of these jobs adds."""
        return sync(self.settings, jobs, outer).logged

    def runs(self, condition: str = "") -> list[Any]:
        """All runs, children and parents, in the order in which they began."""
        client = self.client
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments, condition, order_by=["start_time ASC"]))

    def children(self) -> list[Any]:
        return self.runs("tags.`mlflow.parentRunId` LIKE '%'")

    def parents(self) -> list[Any]:
        return self.runs("tags.`lidr.pipeline` LIKE '%'")

    def history(self, run_id: str, name: str) -> list[tuple[int, float]]:
        return [(metric.step, metric.value) for metric in self.client.get_metric_history(run_id, name)]

    def file(self, name: str, content: str) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path
