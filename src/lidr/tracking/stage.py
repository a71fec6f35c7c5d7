"""A stage's side of tracking: a run to log to, and a publisher's process that follows its journal.

    with stage_run(settings, "mgsm", "m2", inputs=[model], outputs=[reports]) as run:
        run.log_metrics({"accuracy/es": 0.81}, step=2)

Importing mlflow takes seconds, so the publisher begins with the stage and imports it while the stage imports its own
libraries. A stage that is shorter than that import says `publish="later"`: the next publisher takes its journal too.
One that may be short says `publish="if_long"`: as a part of `dvc repro`, whose last stage publishes what is left, it
gets a publisher only if it is still at work after half a minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from lidr import config
from lidr.config import Settings
from lidr.errors import InputError
from lidr.tracking import describe, journal, store
from lidr.tracking.journal import Journal

_DEFAULT_WAIT = 60.0
# What DVC sets for the stages that it runs, and how many seconds a stage may last without a publisher of its own.
_DVC_STAGE = "DVC_STAGE"
_LONG = 30.0


class StageRun:
    """One run of one stage. Without a journal, where tracking is off, nothing is logged."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal

    def log_metrics(self, metrics: Mapping[str, float | None], step: int | None = None) -> None:
        """Values at a step; those that are None are left out."""
        if self._journal:
            values = journal.numbers(metrics)
            self._journal.write(journal.Metrics(time=journal.now(), step=step or 0, values=values))

    def log_to_parent(self, metrics: Mapping[str, float | None], step: int) -> None:
        """Headline values of an iteration, for the curves of the parent run; the same value is logged there once."""
        if self._journal:
            self._journal.write(journal.ParentMetrics(step=step, values=journal.numbers(metrics)))

    def use_dataset(self, path: Path, name: str, context: str, rows: Mapping[str, int]) -> None:
        """Data that this stage used: `context` is training or evaluation, `rows` counts by language."""
        if self._journal:
            self._journal.write(describe.dataset(path, name, context, rows))

    def log_model(self, path: Path, model_type: str, upload: bool) -> None:
        """The model that this stage made, a base or an adapter; not uploaded, its data stays with DVC alone."""
        if self._journal:
            self._journal.write(
                journal.Model(
                    model=describe.model_data(path),
                    model_type=model_type,
                    step=config.iteration_number(path.name),
                    snapshot=self._journal.keep(path) if upload else None,
                )
            )

    def log_evaluation(
        self,
        metrics: Mapping[str, float | None],
        model: Path,
        name: str,
        source: str,
        items: Sequence[Mapping[str, Any]],
    ) -> None:
        """How good a model is on the items, which are rows with a `lang`; the step is the model's iteration.

        The values are this run's and the logged model's, and the items are a dataset, the same one for each model.
        """
        if self._journal:
            used = describe.items(name, source, "evaluation", items)
            self._journal.write(used)
            self._journal.write(
                journal.Evaluation(
                    time=journal.now(),
                    step=config.iteration_number(model.name),
                    values=journal.numbers(metrics),
                    model=describe.model_data(model),
                    dataset=used.name,
                    dataset_digest=used.digest,
                )
            )

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """A file or a whole folder as it is now, under its own name in `folder`."""
        if self._journal:
            snapshot = self._journal.keep(path)
            self._journal.write(journal.Artifact(snapshot=snapshot, name=path.name, folder=folder))

    def log_table(self, path: Path, name: str) -> None:
        """A file of JSON lines as the table `name`, a .json file, that the evaluation view compares between runs."""
        _check_table_name(name)
        if self._journal:
            snapshot = self._journal.keep(path)
            self._journal.write(journal.Table(snapshot=snapshot, source=path.name, name=name))

    def log_rows(self, rows: Iterable[Mapping[str, Any]], name: str) -> None:
        """Rows that are in no file of their own as the table `name`."""
        if self._journal:
            _check_table_name(name)
            source = "rows.jsonl"
            snapshot = self._journal.keep_rows(rows, source)
            self._journal.write(journal.Table(snapshot=snapshot, source=source, name=name))


@contextmanager
def stage_run(
    settings: Settings,
    stage: str,
    model: str | None,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    publish: Literal["now", "later", "if_long"] = "now",
    contest: describe.Contest | None = None,
) -> Iterator[StageRun]:
    """Track the stage that the block runs; an error in the block ends the run as failed, and goes on its way."""
    # `mlflow run` tells it by the environment; libraries that the stage uses must not log to that run by themselves.
    outer = os.environ.pop("MLFLOW_RUN_ID", None)
    if os.environ.get("LIDR_TRACKING") == "off":
        yield StageRun(None)
        return
    wait, root = _wait(), store.project_root()
    written = Journal(root, stage, model)
    publisher = _Publisher(root, written.path)
    publisher.begin(publish)
    try:
        try:
            written.write(describe.begin(settings, stage, model, inputs, written.id, outer, contest))
            yield StageRun(written)
            ended = describe.hash_tags("out", outputs) | describe.base_tag()
        except BaseException:
            written.write(journal.End(time=journal.now(), status="FAILED", tags={}))
            raise
        else:
            written.write(journal.End(time=journal.now(), status="FINISHED", tags=ended))
        finally:
            written.close()
    finally:
        publisher.finish(wait)


class _Publisher:
    """The process that follows a journal, begun at once, after a while, or never."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root, self._path = root, path
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: threading.Timer | None = None

    def begin(self, publish: Literal["now", "later", "if_long"]) -> None:
        """Begin as asked; outside of `dvc repro` no other stage will publish what this one leaves."""
        if publish == "if_long" and _DVC_STAGE in os.environ:
            self._timer = threading.Timer(_LONG, self._start)
            self._timer.daemon = True
            self._timer.start()
        elif publish != "later":
            self._start()

    def finish(self, wait: float) -> None:
        """Give the process `wait` seconds to end; what it could not publish stays in the journal."""
        if self._timer:
            self._timer.cancel()
            self._timer.join()
        if self._process:
            _wait_for(self._process, wait, self._root)

    def _start(self) -> None:
        self._process = _start(self._root, self._path)


def _check_table_name(name: str) -> None:
    if not name.endswith(".json"):
        raise ValueError(f"a table's name ends in .json, this one is {name!r}")


def _wait() -> float:
    value = os.environ.get("LIDR_TRACKING_WAIT", str(_DEFAULT_WAIT))
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"LIDR_TRACKING_WAIT is {value!r}; a number of seconds is expected") from error


def _start(root: Path, path: Path) -> subprocess.Popen[bytes]:
    with journal.open_log(root) as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "lidr.tracking", str(path)],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            # Ctrl-C ends the stage; the publisher still has to say in MLflow that it ended.
            start_new_session=True,
        )


def _wait_for(publisher: subprocess.Popen[bytes], wait: float, root: Path) -> None:
    try:
        said, _ = publisher.communicate(timeout=wait)
    except subprocess.TimeoutExpired:
        reason = f"not done after {wait:g} s (LIDR_TRACKING_WAIT)"
    else:
        if publisher.returncode == 0:
            return
        reason = said.decode(errors="replace").strip() or f"the publisher ended with {publisher.returncode}"
    finally:
        # A stage leaves nothing running behind it.
        publisher.kill()
        publisher.wait()
    address = store.without_secrets(store.tracking_uri(root))
    print(
        f"MLflow at {address} did not take the run: {reason}; nothing is lost: `lidr track` logs it later",
        file=sys.stderr,
    )
