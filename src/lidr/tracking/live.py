"""Live logging of a running stage.

    with live_run(settings, job, mlflow_run_id=None) as live:
        live.log({"loss": 0.93}, 10)
        live.tag("lidr.rows", "packed")
    sync(settings, [job])

An unreachable server neither fails a stage nor blocks it for long: after MLflow's own MLFLOW_HTTP_REQUEST_TIMEOUT (10 s
here) live logging stops. The sync at the stage's end, or `lidr track`, logs what is missing. A killed stage continues
its run when it is started again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from lidr.config import Settings
from lidr.errors import LidrError, one_line
from lidr.tracking import describe, store
from lidr.tracking.describe import Job
from lidr.tracking.run import StageRun, Values
from lidr.tracking.sync import RESULT_TAG, connect, is_off, open_stage_run

ERROR_TAG = "lidr.error"
LATER = "`lidr track` logs it later"


class LiveRun:
    """A running stage's run; its methods do nothing where the stage is not logged live."""

    run: StageRun | None = None

    def log(self, metrics: Values, step: int) -> None:
        """Log values at a step, at once."""
        with self.or_stop():
            if self.run:
                self.run.log_metrics(metrics, step, store.now())
                self.run.flush()

    def tag(self, name: str, value: str) -> None:
        """Set a tag that is in none of the stage's files."""
        with self.or_stop():
            if self.run:
                self.run.tag(name, value)

    def end(self, status: str, tags: Mapping[str, str]) -> None:
        """End the run, and its parent, with these tags."""
        for tag in tags.items():
            self.tag(*tag)
        with self.or_stop():
            if self.run:
                self.run.end(status)

    @contextmanager
    def or_stop(self) -> Iterator[None]:
        """Stop live logging where MLflow does not answer."""
        try:
            yield
        except Exception as error:
            self.run = None
            warn(LidrError(f"MLflow at {store.address()} does not take the run live: {store.reason(error)}"), LATER)


@contextmanager
def live_run(settings: Settings, job: Job, mlflow_run_id: str | None) -> Iterator[LiveRun]:
    """Log the job while the block works on it; an error in the block ends the run as failed, with its message in a tag.

    It is raised again.
    """
    live = LiveRun()
    if is_off():
        yield live
        return
    pipeline = describe.pipeline(settings)
    described = describe.stage(settings, job, pipeline)
    with ExitStack() as at_end:
        with live.or_stop():
            target = connect(settings, pipeline, mlflow_run_id)
            live.run = open_stage_run(target, described, {}, store.now())
            live.run.show_as_running()
            if settings.tracking.system_metrics:
                from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

                uri = store.tracking_uri(store.project_root())
                monitor = SystemMetricsMonitor(live.run.id, resume_logging=True, tracking_uri=uri)
                monitor.start()
                at_end.callback(monitor.finish)
        try:
            yield live
        except BaseException as error:
            live.end("FAILED", {ERROR_TAG: store.without_secrets(one_line(error))})
            raise
        outputs = describe.hash_tags("out", job.outputs)
        live.end("FINISHED", {**outputs, RESULT_TAG: describe.identity(described, outputs)})


def warn(error: BaseException, remedy: str) -> None:
    """Warn in one line that MLflow is unreachable, and say what logs the run later."""
    print(f"{error}; nothing is lost: {remedy}", file=sys.stderr)
