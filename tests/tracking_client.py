"""What a project's MLflow store has by now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Store:
    """A store by its address."""

    uri: str

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    def runs(self, condition: str = "") -> list[Any]:
        """All runs, children and parents, in the order in which they began."""
        client = self.client
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments, condition, max_results=1000, order_by=["start_time ASC"]))

    def parents(self) -> list[Any]:
        return self.runs("tags.`lidr.pipeline` LIKE '%'")

    def experiments(self) -> list[Any]:
        """The parents of DVC's experiments."""
        return [run for run in self.parents() if "dvc.experiment" in run.data.tags]

    def children(self, parent: Any = None) -> list[Any]:
        """Those of a parent, or of all of them."""
        which = f"= '{parent.info.run_id}'" if parent else "LIKE '%'"
        return self.runs(f"tags.`mlflow.parentRunId` {which}")

    def history(self, run_id: str, name: str) -> list[tuple[int, float]]:
        return [(metric.step, metric.value) for metric in self.client.get_metric_history(run_id, name)]
