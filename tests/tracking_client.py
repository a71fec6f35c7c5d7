"""The contents of a project's MLflow store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Store:
    """An MLflow store at an address."""

    uri: str

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    def runs(self, condition: str = "") -> list[Any]:
        """All runs, children and parents, by start time."""
        client = self.client
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments, condition, max_results=1000, order_by=["start_time ASC"]))

    def parents(self) -> list[Any]:
        return self.runs("tags.`lidr.pipeline` LIKE '%'")

    def experiments(self) -> list[Any]:
        """The parent runs of DVC's experiments."""
        return [run for run in self.parents() if "dvc.experiment" in run.data.tags]

    def children(self, parent: Any = None) -> list[Any]:
        """The child runs of a parent, or of all parents."""
        which = f"= '{parent.info.run_id}'" if parent else "LIKE '%'"
        return self.runs(f"tags.`mlflow.parentRunId` {which}")

    def history(self, run_id: str, name: str) -> list[tuple[int, float]]:
        return [(metric.step, metric.value) for metric in self.client.get_metric_history(run_id, name)]
