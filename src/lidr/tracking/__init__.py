"""Everything MLflow: one parent run for one state of the pipeline, a child run for each result of a stage.

    sync(settings, jobs)                                  # what MLflow does not have, from the files that stages wrote
    with live_run(settings, job, outer=None) as live:     # a stage that is watched while it works
        live.log({"loss": 0.93}, 10)

A job (describe.py) names a stage's files and what they say; `lidr.cli.runs` makes it, for tracking knows no stage.
sync.py logs it by run.py's calls of MLflow's client, under the parent of parents.py; live.py does so while the stage
works, and times.py keeps how long that took. Where runs go is decided in store.py, how to get there in connection.py.
models.py and registry.py keep models; lookup.py finds runs again, pipelines.py what they measured.

    LIDR_TRACKING=off           logs nothing at all
    MLFLOW_TRACKING_URI=...     a tracking server; without it, a local store in the project
"""

from lidr.tracking.describe import Job
from lidr.tracking.live import LiveRun, live_run, warn
from lidr.tracking.lookup import FoundRun, find_run, runs_tagged
from lidr.tracking.registry import Promoted, promote
from lidr.tracking.run import StageRun
from lidr.tracking.server import serve
from lidr.tracking.sync import Synced, is_off, sync
from lidr.tracking.times import time_kept

__all__ = [
    "FoundRun",
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
