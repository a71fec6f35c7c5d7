"""A stage that is logged while it works.

    with live_run(settings, job, outer=None) as live:
        live.log({"loss": 0.93}, 10)
        live.tag("lidr.rows", "packed")
    sync(settings, [job])

A server that is away neither fails a stage nor holds it for long: after MLflow's own MLFLOW_HTTP_REQUEST_TIMEOUT (10 s
here) nothing more is logged live. The sync at the stage's end, or `lidr track`, logs what is missing. A stage that was
killed goes on in the same run when it is started again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from lidr.config import Settings
from lidr.errors import LidrError
from lidr.tracking import connection, describe, parents, store
from lidr.tracking.describe import Description, Job
from lidr.tracking.run import StageRun, Values
from lidr.tracking.sync import RESULT_TAG, is_off, log_params, open_run

LATER = "`lidr track` logs it later"


class LiveRun:
    """The run of a stage that is at work; its methods do nothing where the stage is not logged live."""

    def __init__(self) -> None:
        self._run: StageRun | None = None

    def log(self, metrics: Values, step: int) -> None:
        """Values at a step, now."""
        with self._or_stop():
            if self._run:
                self._run.log_metrics(metrics, step, connection.now())
                self._run.flush()

    def tag(self, name: str, value: str) -> None:
        """Something that is in none of the stage's files."""
        with self._or_stop():
            if self._run:
                self._run.tag(name, value)

    def begin(self, settings: Settings, described: Description, outer: str | None, at_end: ExitStack) -> None:
        """Open the run in MLflow."""
        root = store.project_root()
        with self._or_stop():
            client, pipeline = connection.connect(root), describe.pipeline(settings)
            parent = parents.find_or_make(client, root, settings.tracking.experiment, pipeline, outer)
            if parent.info.run_id != outer and parent.info.status != "RUNNING":
                client.update_run(parent.info.run_id, status="RUNNING")
            made = open_run(client, parent, described, {}, outer, connection.now())
            log_params(client, made, described)
            self._run = StageRun(client, made, parent)
            if settings.tracking.system_metrics:
                at_end.callback(_monitor_system(made.info.run_id, store.tracking_uri(root)))

    def end(self, status: str, tags: Mapping[str, str]) -> None:
        """End the run, and its parent, with these tags."""
        with self._or_stop():
            if self._run:
                for tag in tags.items():
                    self._run.tag(*tag)
                self._run.end(status)

    @contextmanager
    def _or_stop(self) -> Iterator[None]:
        """Log nothing more where MLflow does not answer."""
        try:
            yield
        except Exception as error:
            self._run = None
            address = store.address(store.project_root())
            warn(LidrError(f"MLflow at {address} does not take the run live: {connection.reason(error)}"), LATER)


@contextmanager
def live_run(settings: Settings, job: Job, outer: str | None) -> Iterator[LiveRun]:
    """Log the job while the block works on it; an error in the block ends the run as failed, and goes on its way."""
    live = LiveRun()
    if is_off():
        yield live
        return
    described = describe.stage(settings, job)
    with connection.environment(), ExitStack() as at_end:
        live.begin(settings, described, outer, at_end)
        try:
            yield live
        except BaseException:
            live.end("FAILED", {})
            raise
        outputs = describe.hash_tags("out", job.outputs)
        live.end("FINISHED", {**outputs, RESULT_TAG: describe.identity(described, outputs)})


def warn(error: BaseException, remedy: str) -> None:
    """Say in one line that MLflow is away, and what logs the run later."""
    print(f"{error}; nothing is lost: {remedy}", file=sys.stderr)


def _monitor_system(run_id: str, uri: str) -> Callable[[], None]:
    """Sample processor, memory and GPU into the run until the function that this returns is called."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor.finish
