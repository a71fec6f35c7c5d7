"""One journal into MLflow, exactly once.

A run is found by the tag `lidr.journal` before it is made, and says in `lidr.journal.lines` how many lines it has. The
lines in between, which a publisher that was killed may have logged before it could say so, are logged again, and that
changes nothing: a metric of the same key, step, time and value is one point in MLflow's store, files are replaced by
themselves, and tags and params get the value that they have.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lidr.errors import InputError
from lidr.jsonl import write_json
from lidr.tracking import journal, models, store
from lidr.tracking.describe import BASE_TAG, key
from lidr.tracking.journal import (
    Artifact,
    Begin,
    Dataset,
    End,
    Evaluation,
    Metrics,
    Model,
    Number,
    ParentMetrics,
    Pipeline,
    Table,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

JOURNAL_TAG = "lidr.journal"
LINES_TAG = "lidr.journal.lines"
PIPELINE_TAG = "lidr.pipeline"
MADE_TAG = "lidr.pipeline.made"
_TABLES_TAG = "mlflow.loggedArtifacts"
# MLflow's pages then show runs, models and charts, not traces and prompts.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# MLflow's own limits, less a margin: a bigger batch would be split, and the tags would go with its first part.
_METRICS_PER_BATCH = 500
_PARAMS_PER_BATCH = 100
_NAME_BY_MLFLOW = re.compile(r"^[a-z]+-[a-z]+-\d+$")


class Publication:
    """One journal on its way into MLflow."""

    def __init__(self, client: MlflowClient, root: Path, path: Path) -> None:
        self._client, self._root, self._path = client, root, path
        self._done = 0
        self._tables: list[dict[str, str]] = []
        self.name = self.run_id = ""
        self.wants_system_metrics = False

    def advance(self) -> bool:
        """Log what the journal has by now; True when MLflow has all of it, and the journal is put away."""
        lines = journal.read(self._path)
        if lines and isinstance(lines[0], Begin):
            if not self._done:
                self._open(lines[0])
            if self._done < len(lines):
                self._log_lines(lines)
            if isinstance(lines[-1], End):
                self._end(lines[-1])
        elif journal.is_alive(self._path):
            return False
        if lines and not isinstance(lines[-1], End):
            return False
        journal.retire(self._path)
        return True

    def _open(self, begin: Begin) -> None:
        """Find or make parent and run."""
        with journal.one_at_a_time(self._root):
            self._parent = self._find_parent(begin)
            self._owns_parent = self._parent.info.run_id != begin.outer_run
            run = self._find_run(begin)
        self.run_id, self._journal, self.name = run.info.run_id, begin.journal, begin.name
        self._tables = json.loads(run.data.tags.get(_TABLES_TAG, "[]"))
        self._done = int(run.data.tags.get(LINES_TAG, 0))
        if not self._done:
            self._log(self.run_id, params=begin.params, tags={LINES_TAG: "1"})
            self._done = 1
        self.wants_system_metrics = begin.system_metrics

    def _find_parent(self, begin: Begin) -> Run:
        parent = self._outer_run(begin.outer_run)
        if parent is None:
            experiment = self._experiment(begin.experiment)
            parent = self._first_parent(experiment, begin.pipeline) or self._make_parent(experiment, begin)
        self._complete(parent, begin.pipeline)
        return parent

    def _first_parent(self, experiment: str, pipeline: Pipeline) -> Run | None:
        found = self._client.search_runs([experiment], f"tags.`{PIPELINE_TAG}` = '{pipeline.fingerprint}'")

        def made(run: Run) -> tuple[int, str]:
            return int(run.data.tags.get(MADE_TAG, run.info.start_time)), run.info.run_id

        return min(found, key=made, default=None)

    def _make_parent(self, experiment: str, begin: Begin) -> Run:
        """A parent; or the one that another machine made at the same moment, which a lock on this one cannot see."""
        tags = {PIPELINE_TAG: begin.pipeline.fingerprint, MADE_TAG: str(journal.now()), **begin.pipeline.tags}
        made = self._client.create_run(experiment, begin.time, tags, begin.pipeline.name)
        first = self._first_parent(experiment, begin.pipeline)
        if first is None or first.info.run_id == made.info.run_id:
            return made
        self._client.delete_run(made.info.run_id)
        return first

    def _outer_run(self, run_id: str | None) -> Run | None:
        """The run that `mlflow run` made, unless it is not in this store, as when another was named since."""
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _complete(self, parent: Run, pipeline: Pipeline) -> None:
        """Give the parent the params and tags that it lacks; what it says already stays."""
        params = {name: value for name, value in pipeline.params.items() if name not in parent.data.params}
        wanted = {PIPELINE_TAG: pipeline.fingerprint, **pipeline.tags}
        tags = {name: value for name, value in wanted.items() if name not in parent.data.tags}
        if _NAME_BY_MLFLOW.match(parent.info.run_name or ""):
            tags["mlflow.runName"] = pipeline.name
        if params or tags:
            self._log(parent.info.run_id, params=params, tags=tags)

    def _find_run(self, begin: Begin) -> Run:
        parent = self._parent.info
        condition = f"tags.`{JOURNAL_TAG}` = '{begin.journal}'"
        found = self._client.search_runs([parent.experiment_id], condition, max_results=1)
        if found:
            return found[0]
        # The run of `mlflow run` is ended by MLflow, and may have been by now.
        if self._owns_parent and parent.status != "RUNNING":
            self._client.update_run(parent.run_id, status="RUNNING")
        relation = {JOURNAL_TAG: begin.journal, "mlflow.parentRunId": parent.run_id}
        return self._client.create_run(
            parent.experiment_id,
            start_time=begin.time,
            run_name=begin.name,
            tags={**begin.tags, **relation},
        )

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        from mlflow.exceptions import MlflowException

        uri = store.tracking_uri(self._root)
        try:
            return self._client.create_experiment(name, store.artifact_location(self._root, uri), _EXPERIMENT_TAGS)
        except MlflowException as error:
            # Another machine made it since.
            found = self._client.get_experiment_by_name(name)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
            return found.experiment_id

    def _log_lines(self, lines: Sequence[journal.AnyLine]) -> None:
        """Log the lines that are new; the count is told last, when MLflow has what it counts."""
        metrics: list[Metric] = []
        for_parent: list[Metric] = []
        tags: dict[str, str] = {}
        for line in lines[self._done :]:
            match line:
                case Metrics():
                    metrics += _points(line.values, line.time, line.step)
                case ParentMetrics():
                    # The same time for the same iteration: a value that another stage told before stays one point.
                    for_parent += _points(line.values, self._parent.info.start_time + line.step, line.step)
                case Dataset():
                    self._log_dataset(line)
                case Model():
                    self._log_model(line)
                case Evaluation():
                    metrics += self._evaluation(line)
                case Artifact():
                    self._log_artifact(line)
                case Table():
                    self._log_table(line)
                    # With the standard library's spaces: load_table searches for this very text.
                    tags[_TABLES_TAG] = json.dumps(self._tables)
                case End():
                    tags |= line.tags
        count = str(len(lines))
        if for_parent:
            self._log(self._parent.info.run_id, for_parent, tags={f"{JOURNAL_TAG}.{self._journal}": count})
        self._log(self.run_id, metrics, tags={**tags, LINES_TAG: count})
        self._done = len(lines)

    def _end(self, end: End) -> None:
        parent = self._parent.info.run_id
        if BASE_TAG in end.tags and BASE_TAG not in self._parent.data.tags:
            self._client.set_tag(parent, BASE_TAG, end.tags[BASE_TAG])
        self._client.set_terminated(self.run_id, end.status, end.time)
        if self._owns_parent:
            self._client.set_terminated(parent, end.status, end.time)

    def _log_dataset(self, line: Dataset) -> None:
        from mlflow import entities

        dataset = entities.Dataset(line.name, line.digest, "local", line.source, line.schema, line.profile)
        context = entities.InputTag("mlflow.data.context", line.context)
        self._client.log_inputs(self.run_id, datasets=[entities.DatasetInput(dataset, [context])])

    def _log_model(self, line: Model) -> None:
        """The model as a logged model that this run made, with its files where the journal has them."""
        from mlflow.entities import LoggedModelOutput

        folder = journal.snapshots(self._path) / line.snapshot / line.model.name if line.snapshot else None
        experiment = self._parent.info.experiment_id
        found = models.find_or_create(self._client, experiment, line.model, line.model_type, self.run_id)
        models.complete(self._client, found, folder)
        # MLflow keeps a second row of the same input or output of a run.
        known = self._client.get_run(self.run_id).outputs
        if found.model_id not in [output.model_id for output in (known.model_outputs if known else [])]:
            self._client.log_outputs(self.run_id, [LoggedModelOutput(found.model_id, line.step)])

    def _evaluation(self, line: Evaluation) -> list[Metric]:
        """The values as this run's and the logged model's, which is made where its training was logged elsewhere."""
        from mlflow.entities import LoggedModelInput

        experiment = self._parent.info.experiment_id
        found = models.find_or_create(self._client, experiment, line.model, models.UNKNOWN, None)
        models.complete(self._client, found, None)
        known = self._client.get_run(self.run_id).inputs
        if found.model_id not in [used.model_id for used in (known.model_inputs if known else [])]:
            self._client.log_inputs(self.run_id, models=[LoggedModelInput(found.model_id)])
        about = {"model_id": found.model_id, "dataset_name": line.dataset, "dataset_digest": line.dataset_digest}
        return _points(line.values, line.time, line.step, **about, run_id=self.run_id)

    def _log_artifact(self, line: Artifact) -> None:
        path = journal.snapshots(self._path) / line.snapshot / line.name
        if path.is_dir():
            self._client.log_artifacts(self.run_id, str(path), posixpath.join(line.folder or "", line.name))
        else:
            self._client.log_artifact(self.run_id, str(path), line.folder)

    def _log_table(self, line: Table) -> None:
        """What mlflow.log_table writes, without its appending: logged again, a table would have its rows twice."""
        folder = journal.snapshots(self._path) / line.snapshot
        table = folder / "table" / posixpath.basename(line.name)
        write_json(table, _split(folder / line.source))
        self._client.log_artifact(self.run_id, str(table), posixpath.dirname(line.name) or None)
        entry = {"path": line.name, "type": "table"}
        if entry not in self._tables:
            self._tables.append(entry)

    def _log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """One batch, or as many as MLflow's limits ask for, the tags in the last."""
        from mlflow.entities import Param, RunTag

        all_params = [Param(name, value) for name, value in (params or {}).items()]
        for start in range(0, len(all_params), _PARAMS_PER_BATCH):
            self._client.log_batch(run_id, params=all_params[start : start + _PARAMS_PER_BATCH])
        rest = list(metrics)
        while len(rest) > _METRICS_PER_BATCH:
            self._client.log_batch(run_id, metrics=rest[:_METRICS_PER_BATCH])
            rest = rest[_METRICS_PER_BATCH:]
        self._client.log_batch(run_id, metrics=rest, tags=[RunTag(*tag) for tag in (tags or {}).items()])


def _points(values: dict[str, Number], when: int, step: int, **about: str) -> list[Metric]:
    from mlflow.entities import Metric

    return [Metric(key(name), float(value), when, step, **about) for name, value in values.items()]


def _split(path: Path) -> dict[str, list]:
    """A file of JSON lines as pandas' `split` form, which the UI reads: columns, then rows in their order."""
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.DecodeError as error:
            raise InputError(f"not one JSON object on a line: {error}", path, number) from error
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return {"columns": columns, "data": [[row.get(name) for name in columns] for row in rows]}
