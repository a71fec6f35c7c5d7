"""Everything MLflow: one parent run for one state of the pipeline, a child run for each result of a stage.

    sync(settings, jobs)                  # what MLflow does not have, from the files that stages wrote
    with live_run(settings, job, mlflow_run_id=None) as live:        # a stage that is watched while it works
        live.log({"loss": 0.93}, 10)

A job (describe.py) names a stage's files and how they are logged; `lidr.cli.runs` makes it, for tracking knows no
stage. sync.py finds or creates its run and the parent, run.py logs to it; live.py does so while the stage works.
store.py says where runs go; models.py keeps models, lookup.py finds runs again.

    LIDR_TRACKING=off           logs nothing at all
    MLFLOW_TRACKING_URI=...     a tracking server; without it, a local store in the project
"""

from typing import TYPE_CHECKING

from lidr.tracking.describe import Job
from lidr.tracking.live import LiveRun, live_run, warn
from lidr.tracking.lookup import find_run, runs_tagged
from lidr.tracking.models import ALIAS, promote
from lidr.tracking.run import StageRun
from lidr.tracking.store import address
from lidr.tracking.sync import is_off, sync, time_kept

if TYPE_CHECKING:
    from mlflow.entities import Run
