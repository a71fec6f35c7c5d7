"""What the commands of several stages share: how a stage is run and logged, and how its figures are printed.

>>> with_interval("es", {"accuracy": 0.7, "low": 0.64, "high": 0.75}, "accuracy", ".2f")
'es 0.70 [0.64, 0.75]'
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lidr import config
from lidr.cli import runs
from lidr.errors import LidrError
from lidr.evaluation.registry import benchmarks

if TYPE_CHECKING:
    from lidr.tracking import Job, LiveRun

# Stages that ask a model, and may be at work for days; importing MLflow takes three seconds.
_LONG = ("generate", "score", "translate", "train", "baseline", *(benchmark.name for benchmark in benchmarks()))
# Seconds from which on a stage of `dvc repro` logs itself; `compare` logs the shorter ones.
_AT_ONCE = 30.0
# What DVC sets for the stages that it runs, and `mlflow run` for its commands.
_DVC_STAGE, _MLFLOW_RUN = "DVC_STAGE", "MLFLOW_RUN_ID"


@contextmanager
def tracked(settings: config.Settings, stage: str, model: str | None) -> Iterator[LiveRun]:
    """Run a stage under a lock on its output, and log it; yields what logs live.

    `train` is logged live, and so is every long stage where system metrics are asked for; `compare`, the last stage,
    logs all that came before it as well.
    """
    with tracked_job(settings, runs.job(settings, stage, model)) as live:
        yield live


@contextmanager
def tracked_job(settings: config.Settings, job: Job, at_once: bool = False) -> Iterator[LiveRun]:
    """The same for any job; `at_once` logs it at its end, however short it was."""
    from lidr import tracking
    from lidr.locks import alone

    # Libraries that the stage uses must not log to that run by themselves.
    mlflow_run_id = os.environ.pop(_MLFLOW_RUN, None)
    is_live = job.stage == "train" or (settings.tracking.system_metrics and job.stage in _LONG)
    by_hand = _DVC_STAGE not in os.environ and (mlflow_run_id is not None or job.stage in _LONG)
    begun = time.monotonic()
    with alone(job.outputs[0]):
        with tracking.time_kept(job.outputs[0]):
            if is_live:
                with tracking.live_run(settings, job, mlflow_run_id) as live:
                    yield live
            else:
                yield tracking.LiveRun()
        if tracking.is_off():
            return
        try:
            if job.stage == "compare":
                runs.sync(settings, job, mlflow_run_id)
            elif is_live or at_once or by_hand or time.monotonic() - begun > _AT_ONCE:
                tracking.sync(settings, [job], mlflow_run_id)
        except LidrError as error:
            remedy = f"`{job.command}` logs it again" if job.against else "`lidr track` logs it later"
            tracking.warn(error, remedy)


def with_interval(lang: str, figures: dict[str, float], name: str, form: str) -> str:
    interval = f" [{figures['low']:{form}}, {figures['high']:{form}}]" if "low" in figures else ""
    return f"{lang} {figures[name]:{form}}{interval}"
