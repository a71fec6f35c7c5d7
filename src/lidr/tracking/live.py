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
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from lidr.config import Settings
from lidr.errors import LidrError, one_line
from lidr.tracking import describe, parents, store
from lidr.tracking.describe import Job
from lidr.tracking.run import StageRun, Values
from lidr.tracking.sync import RESULT_TAG, is_off, open_stage_run

ERROR_TAG = "lidr.error"
LATER = "`lidr track` logs it later"


class LiveRun:
    """A running stage's run; its methods do nothing where the stage is not logged live."""

    def __init__(self) -> None:
        self._run: StageRun | None = None

    def log(self, metrics: Values, step: int) -> None:
        """Log values at a step, at once."""
        with self._or_stop():
            if self._run:
                self._run.log_metrics(metrics, step, store.now())
                self._run.flush()

    def tag(self, name: str, value: str) -> None:
        """Set a tag that is in none of the stage's files."""
        with self._or_stop():
            if self._run:
                self._run.tag(name, value)

    def begin(self, open_run: Callable[[], StageRun]) -> None:
        """Log to the run that this function opens in MLflow."""
        with self._or_stop():
            self._run = open_run()

    def end(self, status: str, tags: Mapping[str, str]) -> None:
        """End the run, and its parent, with these tags."""
        with self._or_stop():
            if self._run:
                for tag in tags.items():
                    self._run.tag(*tag)
                self._run.end(status)

    @contextmanager
    def _or_stop(self) -> Iterator[None]:
        """Stop live logging where MLflow does not answer."""
        try:
            yield
        except Exception as error:
            self._run = None
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

    def open_run() -> StageRun:
        target = parents.connect(settings, pipeline, mlflow_run_id)
        run = open_stage_run(target, described, {}, store.now())
        run.show_as_running()
        if settings.tracking.system_metrics:
            at_end.callback(_monitor_system(run.info.run_id, store.tracking_uri(store.project_root())))
        return run

    with store.environment(), ExitStack() as at_end:
        live.begin(open_run)
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


def _monitor_system(run_id: str, uri: str) -> Callable[[], None]:
    """Sample processor, memory and GPU into the run until the function that this returns is called."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor.finish
