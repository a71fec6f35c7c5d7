"""One stage's run in MLflow, logged by plain calls; what is there already is not logged again.

    run = StageRun(client, MLflow's run, its parent)
    run.use_dataset(pairs, "pairs m2", "training", {"es": 540, "en": 610})
    run.log_metrics({"loss": 0.93}, step=10)
    run.log_artifact(adapter, "adapter")
    run.flush()

Metrics wait for `flush`. A point is one key at one step: a curve that was logged live, or in part, is only completed.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lidr import config
from lidr.tracking import datasets, models
from lidr.tracking.describe import key
from lidr.tracking.parents import OUTER_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Run

_TABLES_TAG = "mlflow.loggedArtifacts"

Values = Mapping[str, float | None]


class StageRun:
    """One run of one stage, and its parent."""

    def __init__(self, client: MlflowClient, run: Run, parent: Run) -> None:
        self._client, self._parent = client, parent
        self.id = run.info.run_id
        self._is_in_outer = OUTER_TAG in run.data.tags
        self._experiment = run.info.experiment_id
        self._tables: list[dict[str, str]] = json.loads(run.data.tags.get(_TABLES_TAG, "[]"))
        there = [metric for name in run.data.metrics for metric in client.get_metric_history(self.id, name)]
        self._known = {(metric.key, metric.step) for metric in there}
        # What is completed afterwards comes after what was logged live.
        self._time = run.info.end_time or max([run.info.start_time, *(metric.timestamp for metric in there)])
        self._metrics: list[Metric] = []
        self._for_parent: list[Metric] = []

    def log_metrics(self, metrics: Values, step: int = 0, time: int | None = None, **about: Any) -> None:
        """Values at a step; None is left out. `time` is in milliseconds, by default the run's."""
        for point in _points(metrics, self._time if time is None else time, step, **about):
            if (point.key, step) not in self._known:
                self._known.add((point.key, step))
                self._metrics.append(point)

    def log_to_parent(self, metrics: Values, step: int) -> None:
        """Headline values of an iteration, for the curves of the parent run; the same value is logged there once."""
        # The same time for the same iteration: a value that was told before stays one point.
        self._for_parent += _points(metrics, self._parent.info.start_time + step, step)

    def use_dataset(self, path: Path, name: str, context: str, rows: Mapping[str, int]) -> None:
        """Data that this stage used: `context` is training or evaluation, `rows` counts by language."""
        self._client.log_inputs(self.id, datasets=[datasets.of_path(path, name, context, rows)])

    def log_model(self, path: Path, model_type: str, upload: bool) -> None:
        """The model that this stage made, a base or an adapter; not uploaded, its data stays with DVC alone."""
        from mlflow.entities import LoggedModelOutput

        model = self._logged_model(path, model_type, self.id, path if upload else None)
        # MLflow keeps a second row of the same input or output of a run.
        known = self._client.get_run(self.id).outputs
        if model.model_id not in [output.model_id for output in (known.model_outputs if known else [])]:
            self._client.log_outputs(self.id, [LoggedModelOutput(model.model_id, config.iteration_number(path.name))])

    def log_evaluation(
        self, metrics: Values, path: Path, name: str, source: str, items: Sequence[Mapping[str, Any]]
    ) -> None:
        """How good the model at `path` is on the items, which are rows with a `lang`; the step is its iteration.

        The values are this run's and the logged model's, and the items are a dataset, the same one for each model.
        """
        from mlflow.entities import LoggedModelInput

        used = datasets.of_rows(items, name, source, "evaluation")
        self._client.log_inputs(self.id, datasets=[used])
        # Made here where its training was logged elsewhere.
        model = self._logged_model(path, "model", None, None)
        known = self._client.get_run(self.id).inputs
        if model.model_id not in [one.model_id for one in (known.model_inputs if known else [])]:
            self._client.log_inputs(self.id, models=[LoggedModelInput(model.model_id)])
        self.log_metrics(
            metrics,
            config.iteration_number(path.name),
            model_id=model.model_id,
            dataset_name=used.dataset.name,
            dataset_digest=used.dataset.digest,
            run_id=self.id,
        )

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """A file or a whole folder, under its own name in `folder`."""
        if path.is_dir():
            self._client.log_artifacts(self.id, str(path), posixpath.join(folder or "", path.name))
        else:
            self._client.log_artifact(self.id, str(path), folder)

    def log_table(self, path: Path, name: str) -> None:
        """A file of JSON lines as the table `name`, a .json file, that the evaluation view compares between runs."""
        lines = path.read_bytes().splitlines()
        self.log_rows([msgspec.json.decode(line, type=dict[str, Any]) for line in lines], name)

    def log_rows(self, rows: Iterable[Mapping[str, Any]], name: str) -> None:
        """Rows as the table `name`: as mlflow.log_table, which would have them twice when it is called again."""
        rows = list(rows)
        columns = list(dict.fromkeys(column for row in rows for column in row))
        # pandas' `split` form, which the pages read.
        table = {"columns": columns, "data": [[row.get(column) for column in columns] for row in rows]}
        self._client.log_text(self.id, msgspec.json.encode(table).decode(), name)
        entry = {"path": name, "type": "table"}
        if entry not in self._tables:
            self._tables.append(entry)
            # With the standard library's spaces: load_table searches for this very text.
            self._client.set_tag(self.id, _TABLES_TAG, json.dumps(self._tables))

    def tag(self, name: str, value: str) -> None:
        """Something that is in none of the stage's files, said at once."""
        self._client.set_tag(self.id, name, value)

    def end(self, status: str, time: int | None = None) -> None:
        """End the run and its parent; the end of the run of `mlflow run` is for MLflow to say."""
        self._client.set_terminated(self.id, status, time)
        if not self._is_in_outer:
            # Made when its first run was logged, which may be long after the stages ran.
            last = None if time is None else max(time, self._parent.info.start_time)
            self._client.set_terminated(self._parent.info.run_id, status, last)

    def flush(self) -> None:
        """Send the metrics that wait."""
        self._client.log_batch(self._parent.info.run_id, self._for_parent)
        self._client.log_batch(self.id, self._metrics)
        self._metrics, self._for_parent = [], []

    def _logged_model(self, path: Path, model_type: str, run_id: str | None, upload: Path | None) -> LoggedModel:
        model = models.find_or_create(self._client, self._experiment, path, model_type, run_id)
        models.complete(self._client, model, upload)
        return model


def _points(metrics: Values, time: int, step: int, **about: Any) -> list[Metric]:
    from mlflow.entities import Metric

    return [
        Metric(key(name), float(value), time, step, **about) for name, value in metrics.items() if value is not None
    ]
