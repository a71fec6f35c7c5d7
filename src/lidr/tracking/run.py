"""One stage's run in MLflow; nothing is logged twice.

    run = StageRun(client, MLflow's run, its parent)
    run.use_dataset(pairs, "pairs m2", "training", {"es": 540, "en": 610})
    run.log_metrics({"loss": 0.93}, step=10)
    run.log_artifact(report)
    run.flush()

Metrics are buffered until `flush`. A point is one key at one step: a curve that was logged in part is completed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from lidr import config
from lidr.tracking import models, store
from lidr.tracking.describe import key
from lidr.tracking.hashes import dvc_hash, files_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, LoggedModel, Metric, Run

PARENT_TAG = "mlflow.parentRunId"
# On a child of the run of `mlflow run`, which MLflow ends itself.
OUTER_TAG = "lidr.outer"
_TABLES_TAG = "mlflow.loggedArtifacts"
_TYPES = {str: "string", bool: "boolean", int: "long", float: "double"}

Values = Mapping[str, float | None]


class StageRun:
    """One run of one stage, and its parent."""

    def __init__(self, client: MlflowClient, run: Run, parent: Run) -> None:
        self._client, self._parent = client, parent
        self.info, self.id = run.info, run.info.run_id
        self._is_in_mlflow_run = OUTER_TAG in run.data.tags
        self._experiment = run.info.experiment_id
        self._tables: list[dict[str, str]] = json.loads(run.data.tags.get(_TABLES_TAG, "[]"))
        there = [metric for name in run.data.metrics for metric in client.get_metric_history(self.id, name)]
        self._known = {(metric.key, metric.step) for metric in there}
        # Points that are added later are timed after those that were logged live.
        self._time = run.info.end_time or max([run.info.start_time, *(metric.timestamp for metric in there)])
        self._metrics: list[Metric] = []
        self._for_parent: list[Metric] = []

    def log_params(self, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        self._client.log_batch(self.id, params=[Param(*param) for param in params.items()])

    def log_metrics(self, metrics: Values, step: int = 0, time: int | None = None, **about: Any) -> None:
        """Values at a step; None is left out. `time` is in milliseconds, by default the run's."""
        for point in _points(metrics, self._time if time is None else time, step, **about):
            if (point.key, step) not in self._known:
                self._known.add((point.key, step))
                self._metrics.append(point)

    def log_to_parent(self, metrics: Values, step: int) -> None:
        """Headline values of an iteration, for the curves of the parent run; the same value is logged there once.

        Another value, as a GPU or a judge may give in a second run, counts from then on.
        """
        # One time per iteration: two machines that log the same value at once make one point.
        for point in _points(metrics, self._parent.info.start_time + step, step):
            last = self._parents_values.get((point.key, step))
            if last is None:
                self._for_parent.append(point)
            elif last != point.value:
                self._for_parent += _points({point.key: point.value}, store.now(), step)

    @cached_property
    def _parents_values(self) -> dict[tuple[str, int], float]:
        """What the parent had by key and step before this run, the later one of two values."""
        parent, client = self._parent, self._client
        there = [old for name in parent.data.metrics for old in client.get_metric_history(parent.info.run_id, name)]
        return {(old.key, old.step): old.value for old in sorted(there, key=lambda old: old.timestamp)}

    def describe_parent(self, text: str) -> None:
        """Set the description that MLflow's pages show of the parent run, in Markdown."""
        self._client.set_tag(self._parent.info.run_id, "mlflow.note.content", text)

    def use_dataset(self, path: Path, name: str, context: str, rows: Mapping[str, int]) -> None:
        """Log a dataset that this stage used: `context` is training or evaluation, `rows` counts by language."""
        used = _dataset(name, dvc_hash(path), path.as_posix(), _first_row(path), context, rows)
        self._client.log_inputs(self.id, datasets=[used])

    def log_model(self, path: Path, model_type: str, upload: bool) -> None:
        """Log the model that this stage made, a base or an adapter; not uploaded, its data stays with DVC alone."""
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

        # They are in no file of their own; the digest is that of a file of JSON lines of them.
        lines = b"".join(msgspec.json.encode(item) + b"\n" for item in items)
        digest = hashlib.md5(lines, usedforsecurity=False).hexdigest()
        rows = Counter(str(item["lang"]) for item in items)
        used = _dataset(name, digest, source, items[0], "evaluation", rows)
        self._client.log_inputs(self.id, datasets=[used])
        # Created here where its training was logged elsewhere.
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
        """A file or a folder's files, under its own name in `folder`."""
        for file in files_of(path):
            place = PurePosixPath(folder or "", file.relative_to(path.parent).parent.as_posix())
            self._client.log_artifact(self.id, str(file), None if place == PurePosixPath() else str(place))

    def log_table(self, path: Path, name: str) -> None:
        """A file of JSON lines as the table `name`, a .json file, that the evaluation view compares between runs."""
        lines = path.read_bytes().splitlines()
        self.log_rows([msgspec.json.decode(line, type=dict[str, Any]) for line in lines], name)

    def log_rows(self, rows: Iterable[Mapping[str, Any]], name: str) -> None:
        """Log rows as the table `name`; mlflow.log_table would append them again when called twice."""
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
        """Set a tag that is in none of the stage's files, at once."""
        self._client.set_tag(self.id, name, value)

    def show_as_running(self) -> None:
        """Reopen the parent, which ended with the previous stage; the run of `mlflow run` is open anyway."""
        if not self._is_in_mlflow_run and self._parent.info.status != "RUNNING":
            self._client.update_run(self._parent.info.run_id, status="RUNNING")

    def end(self, status: str, time: int | None = None) -> None:
        """End the run and its parent; MLflow ends the run of `mlflow run` itself."""
        self._client.set_terminated(self.id, status, time)
        if not self._is_in_mlflow_run:
            # The parent is created with its first run, which may be long after the stages ran.
            last = None if time is None else max(time, self._parent.info.start_time)
            self._client.set_terminated(self._parent.info.run_id, status, last)

    def flush(self) -> None:
        """Send the buffered metrics."""
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


def _dataset(
    name: str, digest: str, source: str, row: Mapping[str, Any] | None, context: str, rows: Mapping[str, int]
) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    columns = [{"type": _TYPES.get(type(v), "any"), "name": n, "required": True} for n, v in (row or {}).items()]
    schema = _json({"mlflow_colspec": columns}) if columns else None
    profile = _json({"num_rows": sum(rows.values()), "rows": dict(rows)})
    dataset = Dataset(name, digest, "local", _json({"uri": source}), schema, profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def _first_row(path: Path) -> dict[str, Any] | None:
    """The first row of a file of JSON lines, or of a folder's first one."""
    file = min(path.glob("*.jsonl"), default=None) if path.is_dir() else path
    if file is None or file.suffix != ".jsonl":
        return None
    with file.open("rb") as rows:
        first = rows.readline()
    return msgspec.json.decode(first, type=dict[str, Any]) if first else None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
