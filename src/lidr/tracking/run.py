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
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lidr import config
from lidr.errors import InputError
from lidr.records.jsonl import write_json
from lidr.tracking import describe, models
from lidr.tracking.batches import log_batches
from lidr.tracking.describe import key

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

_TABLES_TAG = "mlflow.loggedArtifacts"

Values = Mapping[str, float | None]


class StageRun:
    """One run of one stage, and its parent."""

    def __init__(self, client: MlflowClient, run: Run, parent: Run) -> None:
        self._client, self._parent = client, parent
        self.id = run.info.run_id
        self._experiment = run.info.experiment_id
        # What is completed afterwards comes after what was logged live.
        self._time = run.info.end_time or run.info.start_time
        self._tables: list[dict[str, str]] = json.loads(run.data.tags.get(_TABLES_TAG, "[]"))
        self._known = {name: self._steps(name) for name in run.data.metrics}
        self._metrics: list[Metric] = []
        self._for_parent: list[Metric] = []

    def log_metrics(self, metrics: Values, step: int = 0, time: int | None = None) -> None:
        """Values at a step; None is left out. `time` is in milliseconds, by default the run's."""
        self._metrics += self._new_points(metrics, self._time if time is None else time, step)

    def log_to_parent(self, metrics: Values, step: int) -> None:
        """Headline values of an iteration, for the curves of the parent run; the same value is logged there once."""
        # The same time for the same iteration: a value that was told before stays one point.
        self._for_parent += _points(metrics, self._parent.info.start_time + step, step)

    def use_dataset(self, path: Path, name: str, context: str, rows: Mapping[str, int]) -> None:
        """Data that this stage used: `context` is training or evaluation, `rows` counts by language."""
        self._use(describe.dataset(path, name, context, rows))

    def log_model(self, path: Path, model_type: str, upload: bool) -> None:
        """The model that this stage made, a base or an adapter; not uploaded, its data stays with DVC alone."""
        from mlflow.entities import LoggedModelOutput

        data = describe.model_data(path)
        found = models.find_or_create(self._client, self._experiment, data, model_type, self.id)
        models.complete(self._client, found, path if upload else None)
        # MLflow keeps a second row of the same input or output of a run.
        known = self._client.get_run(self.id).outputs
        if found.model_id not in [output.model_id for output in (known.model_outputs if known else [])]:
            output = LoggedModelOutput(found.model_id, config.iteration_number(path.name))
            self._client.log_outputs(self.id, [output])

    def log_evaluation(
        self, metrics: Values, model: Path, name: str, source: str, items: Sequence[Mapping[str, Any]]
    ) -> None:
        """How good a model is on the items, which are rows with a `lang`; the step is the model's iteration.

        The values are this run's and the logged model's, and the items are a dataset, the same one for each model.
        """
        from mlflow.entities import LoggedModelInput

        used = describe.items(name, source, "evaluation", items)
        self._use(used)
        data = describe.model_data(model)
        # Made here where its training was logged elsewhere.
        found = models.find_or_create(self._client, self._experiment, data, models.UNKNOWN, None)
        models.complete(self._client, found, None)
        known = self._client.get_run(self.id).inputs
        if found.model_id not in [one.model_id for one in (known.model_inputs if known else [])]:
            self._client.log_inputs(self.id, models=[LoggedModelInput(found.model_id)])
        about = {"model_id": found.model_id, "dataset_name": used.name, "dataset_digest": used.digest}
        step = config.iteration_number(model.name)
        self._metrics += self._new_points(metrics, self._time, step, **about, run_id=self.id)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """A file or a whole folder, under its own name in `folder`."""
        if path.is_dir():
            self._client.log_artifacts(self.id, str(path), posixpath.join(folder or "", path.name))
        else:
            self._client.log_artifact(self.id, str(path), folder)

    def log_table(self, path: Path, name: str) -> None:
        """A file of JSON lines as the table `name`, a .json file, that the evaluation view compares between runs."""
        self.log_rows(_read_rows(path), name)

    def log_rows(self, rows: Iterable[Mapping[str, Any]], name: str) -> None:
        """Rows as the table `name`: as mlflow.log_table, which would have them twice when it is called again."""
        if not name.endswith(".json"):
            raise ValueError(f"a table's name ends in .json, this one is {name!r}")
        rows = list(rows)
        columns = list(dict.fromkeys(column for row in rows for column in row))
        # pandas' `split` form, which the pages read.
        table = {"columns": columns, "data": [[row.get(column) for column in columns] for row in rows]}
        with tempfile.TemporaryDirectory(prefix="lidr-table-") as folder:
            file = Path(folder, posixpath.basename(name))
            write_json(file, table)
            self._client.log_artifact(self.id, str(file), posixpath.dirname(name) or None)
        entry = {"path": name, "type": "table"}
        if entry not in self._tables:
            self._tables.append(entry)
            # With the standard library's spaces: load_table searches for this very text.
            self._client.set_tag(self.id, _TABLES_TAG, json.dumps(self._tables))

    def flush(self, tags: Mapping[str, str] | None = None) -> None:
        """Send the metrics that wait, and the tags after them."""
        log_batches(self._client, self._parent.info.run_id, self._for_parent)
        log_batches(self._client, self.id, self._metrics, tags=tags)
        self._metrics, self._for_parent = [], []

    def _use(self, used: describe.Dataset) -> None:
        from mlflow import entities

        dataset = entities.Dataset(used.name, used.digest, "local", used.source, used.schema, used.profile)
        context = entities.InputTag("mlflow.data.context", used.context)
        self._client.log_inputs(self.id, datasets=[entities.DatasetInput(dataset, [context])])

    def _steps(self, name: str) -> set[int]:
        return {metric.step for metric in self._client.get_metric_history(self.id, name)}

    def _new_points(self, metrics: Values, time: int, step: int, **about: str) -> list[Metric]:
        new = [point for point in _points(metrics, time, step, **about) if step not in self._known.get(point.key, ())]
        for point in new:
            self._known.setdefault(point.key, set()).add(step)
        return new


def _points(metrics: Values, time: int, step: int, **about: str) -> list[Metric]:
    from mlflow.entities import Metric

    return [
        Metric(key(name), float(value), time, step, **about) for name, value in metrics.items() if value is not None
    ]


def _read_rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.DecodeError as error:
            raise InputError(f"not one JSON object on a line: {error}", path, number) from error
    return rows
