"""Everything MLflow: one parent run for one state of the pipeline, a child run for each result of a stage.

    sync(settings, jobs)                  # what MLflow does not have, from the files that stages wrote
    with live_run(settings, job, mlflow_run_id=None) as live:        # a stage that is watched while it works
        live.log({"loss": 0.93}, 10)

A job (describe.py) names a stage's files and how they are logged; `lidr.cli.runs` makes it, for tracking knows no
stage. sync.py logs it by run.py's calls of MLflow's client, under the parent of parents.py; live.py does so while the
stage works. fingerprint.py tells one state of the pipeline from another, hashes.py hashes data as DVC does. Where runs
go, and the client, are in store.py; models.py keeps models, lookup.py finds runs and what they measured again.

    LIDR_TRACKING=off           logs nothing at all
    MLFLOW_TRACKING_URI=...     a tracking server; without it, a local store in the project
"""

from typing import TYPE_CHECKING

from lidr.tracking.describe import Job
from lidr.tracking.live import LiveRun, live_run, warn
from lidr.tracking.lookup import find_run, runs_tagged
from lidr.tracking.models import Promoted, promote
from lidr.tracking.run import StageRun
from lidr.tracking.server import serve
from lidr.tracking.sync import Synced, is_off, sync, time_kept

if TYPE_CHECKING:
    from mlflow.entities import Run as Run

__all__ = [
    "Job",
    "LiveRun",
    "Promoted",
    "StageRun",
    "Synced",
    "find_run",
    "is_off",
    "live_run",
    "promote",
    "runs_tagged",
    "serve",
    "sync",
    "time_kept",
    "warn",
]
