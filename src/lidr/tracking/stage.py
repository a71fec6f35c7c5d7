"""A stage's side of tracking: a run to log to, and a publisher's process that follows its journal.

    with stage_run(settings, "mgsm", "m2", inputs=[model], outputs=[reports]) as run:
        run.log_metrics({"accuracy/es": 0.81}, step=2)

Importing mlflow takes seconds, so the publisher begins with the stage and imports it while the stage imports its own
libraries. A stage that is shorter than that import says `publish="later"`: the next publisher takes its journal too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from lidr.config import Settings
from lidr.errors import InputError
from lidr.tracking import describe, journal, store
from lidr.tracking.journal import Journal

_DEFAULT_WAIT = 60.0


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

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """A file or a whole folder as it is now, under its own name in `folder`."""
        if self._journal:
            snapshot = self._journal.keep(path)
            self._journal.write(journal.Artifact(snapshot=snapshot, name=path.name, folder=folder))

    def log_table(self, path: Path, name: str) -> None:
        """A file of JSON lines as the table `name`, a .json file, that the evaluation view compares between runs."""
        if not name.endswith(".json"):
            raise ValueError(f"a table's name ends in .json, this one is {name!r}")
        if self._journal:
            snapshot = self._journal.keep(path)
            self._journal.write(journal.Table(snapshot=snapshot, source=path.name, name=name))


@contextmanager
def stage_run(
    settings: Settings,
    stage: str,
    model: str | None,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    publish: Literal["now", "later"] = "now",
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
    publisher = _start(root, written.path) if publish == "now" else None
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
        if publisher:
            _wait_for(publisher, wait, root)


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
