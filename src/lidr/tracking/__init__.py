"""Everything MLflow: one parent run for one state of the pipeline, a child run for each stage that really ran.

    with stage_run(settings, "train", "m2", inputs=[pairs], outputs=[adapter]) as run:
        run.use_dataset(pairs, "pairs m2", "training", {"es": 540, "en": 610})
        run.log_metrics({"loss": 0.93}, step=10)
        run.log_artifact(adapter, "adapter")

A stage only writes a journal (journal.py), which takes microseconds and cannot fail because of MLflow. A publisher
(publish.py) brings journals into MLflow: as a child process while the stage works, by the next stage's publisher, or by
`lidr track`. What the journal of a stage tells is put together in describe.py, with the hashes of hashes.py; where
things go is decided in store.py, how to get there in connection.py. models.py and registry.py keep models; lookup.py
finds runs again, pipelines.py what they measured.

    LIDR_TRACKING=off           logs nothing at all
    LIDR_TRACKING_WAIT=60       seconds that a stage waits at its end for its publisher
    MLFLOW_TRACKING_URI=...     a tracking server; without it, a local store in the project
"""

from lidr.tracking.describe import Contest
from lidr.tracking.lookup import FoundRun, find_run, runs_tagged
from lidr.tracking.publish import PublishReport, publish_pending
from lidr.tracking.registry import Promoted, promote
from lidr.tracking.server import serve
from lidr.tracking.stage import StageRun, stage_run

__all__ = [
    "Contest",
    "FoundRun",
    "Promoted",
    "PublishReport",
    "StageRun",
    "find_run",
    "promote",
    "publish_pending",
    "runs_tagged",
    "serve",
    "stage_run",
]
