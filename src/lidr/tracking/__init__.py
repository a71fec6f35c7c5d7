"""Everything MLflow: one parent run for one state of the pipeline, a child run for each result of a stage.

    sync(settings, jobs)                                  # what MLflow does not have, from the files that stages wrote
    with live_run(settings, job, outer=None) as log:      # a stage that is watched while it works
        log({"loss": 0.93}, 10)

A job (sync.py) names a stage's files and what they say; `lidr.cli.runs` makes it, for tracking knows no stage. run.py
logs it by plain calls of MLflow's client, parents.py finds its parent run, describe.py says what it was made from, with
the hashes of hashes.py. open_runs.py remembers live runs whose end MLflow has not seen. Where things go is decided in
store.py, how to get there in connection.py. models.py and registry.py keep models; lookup.py finds runs again,
pipelines.py what they measured.

    LIDR_TRACKING=off           logs nothing at all
    MLFLOW_TRACKING_URI=...     a tracking server; without it, a local store in the project
"""

from lidr.tracking.describe import Contest
from lidr.tracking.lookup import FoundRun, find_run, runs_tagged
from lidr.tracking.registry import Promoted, promote
from lidr.tracking.run import StageRun
from lidr.tracking.server import serve
from lidr.tracking.stage import LogMetrics, live_run, warn
from lidr.tracking.sync import Job, Synced, is_off, sync

__all__ = [
    "Contest",
    "FoundRun",
    "Job",
    "LogMetrics",
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
    "warn",
]
