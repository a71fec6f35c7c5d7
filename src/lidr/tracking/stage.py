"""A stage that is logged while it works.

    with live_run(settings, job, outer=None) as log:
        log({"loss": 0.93}, 10)
    sync(settings, [job])

A server that is away neither fails a stage nor holds it for long: after MLflow's own MLFLOW_HTTP_REQUEST_TIMEOUT (10 s
here) nothing more is logged live. The sync at the stage's end, or `lidr track`, logs what is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from lidr.config import Settings
from lidr.errors import LidrError
from lidr.tracking import connection, describe, parents, store
from lidr.tracking.batches import now
from lidr.tracking.open_runs import OpenRun
from lidr.tracking.run import StageRun, Values
from lidr.tracking.sync import RESULT_TAG, Job, is_off, make_run, sync

LATER = "`lidr track` logs it later"
LogMetrics = Callable[[Values, int], None]


@contextmanager
def live_run(settings: Settings, job: Job, outer: str | None) -> Iterator[LogMetrics]:
    """Log the job while the block works on it; an error in the block ends the run as failed, and goes on its way."""
    if is_off():
        yield lambda metrics, step: None
        return
    with connection.environment(), ExitStack() as at_end:
        run = _LiveRun(settings, job, outer, at_end)
        try:
            yield run.log
        except BaseException:
            if run.note:
                run.note.ended("FAILED", {})
                try:
                    sync(settings, [])
                except LidrError as error:
                    warn(error, LATER)
            raise
        if run.note:
            outputs = describe.hash_tags("out", job.outputs)
            run.note.ended("FINISHED", {RESULT_TAG: describe.result(run.described, outputs), **outputs})


def warn(error: BaseException, remedy: str) -> None:
    """Say in one line that MLflow is away, and what logs the run later."""
    print(f"{error}; nothing is lost: {remedy}", file=sys.stderr)


class _LiveRun:
    """A run of a job that is at work; without a server, nothing."""

    def __init__(self, settings: Settings, job: Job, outer: str | None, at_end: ExitStack) -> None:
        self.described = describe.stage(settings, job.stage, job.model, job.inputs)
        self.note: OpenRun | None = None
        self._run: StageRun | None = None
        root = store.project_root()
        self._address = store.without_secrets(store.tracking_uri(root))
        try:
            client = connection.connect(root)
            pipeline = describe.pipeline(settings)
            parent = parents.find_or_make(client, root, pipeline, outer)
            made = make_run(client, parent, pipeline, self.described, now(), {}, outer)
            self.note = OpenRun(root, made.info.run_id)
            self._run = StageRun(client, made, parent)
            if settings.tracking.system_metrics:
                at_end.callback(_monitor_system(made.info.run_id, store.tracking_uri(root)))
        except Exception as error:
            self._stop(error)

    def log(self, metrics: Values, step: int) -> None:
        """Values at a step, now."""
        if self._run:
            try:
                self._run.log_metrics(metrics, step, now())
                self._run.flush()
            except Exception as error:
                self._stop(error)

    def _stop(self, error: Exception) -> None:
        self._run = None
        warn(LidrError(f"MLflow at {self._address} does not take the run live: {connection.reason(error)}"), LATER)


def _monitor_system(run_id: str, uri: str) -> Callable[[], None]:
    """Sample processor, memory and GPU into the run until the function that this returns is called."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor.finish
