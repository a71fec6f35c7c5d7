"""Metrics, params and tags of a run in batches within MLflow's limits.

>>> log_batches(client, "3f1c", params={"seed": "42"}, tags={"lidr.stage": "train"})
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

# MLflow's own limits, less a margin: a bigger batch would be split, and the tags would go with its first part.
_METRICS_PER_BATCH = 500
_PARAMS_PER_BATCH = 100


def now() -> int:
    """The time as MLflow counts it: milliseconds."""
    return time.time_ns() // 1_000_000


def log_batches(
    client: MlflowClient,
    run_id: str,
    metrics: Sequence[Metric] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """As many batches as MLflow's limits ask for, the tags in the last."""
    from mlflow.entities import Param, RunTag

    all_params = [Param(name, value) for name, value in (params or {}).items()]
    for start in range(0, len(all_params), _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=all_params[start : start + _PARAMS_PER_BATCH])
    rest = list(metrics)
    while len(rest) > _METRICS_PER_BATCH:
        client.log_batch(run_id, metrics=rest[:_METRICS_PER_BATCH])
        rest = rest[_METRICS_PER_BATCH:]
    if rest or tags:
        client.log_batch(run_id, metrics=rest, tags=[RunTag(*tag) for tag in (tags or {}).items()])
