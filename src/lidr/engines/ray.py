"""The engine on Ray: workers with another engine each, on this machine or a cluster, take the requests in parts.

    engine: {name: ray, workers: 2, rows_per_task: 200, engine: {name: transformers, dtype: float32}, ...}

A worker is a Ray actor that lives until `close`. Ray Data would end its actors with every call, and each shard would
reload the model; plain Ray queues parts and retries them as well. A part has the same rows whichever worker computes
it. Without an address a private cluster is started: its ports are on 127.0.0.1 and need a token; it has no dashboard
and sends no usage statistics.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from lidr import paths
from lidr.config.engines import EngineSettings
from lidr.engines.base import (
    Completion,
    Engine,
    Progress,
    Request,
    Sampling,
    TokenIds,
    fingerprint_of,
    ignore,
    open_engine,
)
from lidr.engines.settings import Ray
from lidr.errors import InputError, LidrError
from lidr.models import policy
from lidr.records.prompt_templates import Conversation

# How often a worker may restart, and a part be retried, before it is an error.
RETRIES = 3
# Seconds for a worker to free its memory before it is killed.
PATIENCE = 30.0
# Bytes of shared memory for a cluster of our own: parts and completions are text.
OBJECT_STORE = 2**28


class RayEngine:
    """See `lidr.engines.base.Engine` for the contract."""

    def __init__(self, settings: Ray, model: policy.Policy) -> None:
        self.options = settings
        self.held = msgspec.structs.replace(settings.engine, device=settings.device)
        self.policy = _absolute(model)
        # A sample depends on the part that it is in.
        inner = open_engine(self.held, model).fingerprint
        self.fingerprint = fingerprint_of(model, "ray", inner, str(self.options.rows_per_task), "by length")
        self._workers: list[Any] = []
        self._folder = ""  # of a cluster of our own

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        return self._in_parts("generate", requests, (sampling, ignore), progress, length=_length)

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        # A verdict depends on no other, so that parts may be smaller.
        share = max(1, -(-len(conversations) // self.options.workers))
        return self._in_parts("score", conversations, (choices,), ignore, most=share)

    def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
        return self._in_parts("log_probabilities", rows, (ignore,), progress, length=lambda row: row.length)

    def close(self) -> None:
        """End the workers, and a private cluster."""
        if not self._workers:
            return
        import ray

        closing = [worker.close.remote() for worker in self._workers]
        ray.wait(closing, num_returns=len(closing), timeout=PATIENCE)
        for worker in self._workers:
            ray.kill(worker)
        self._workers = []
        self._disconnect()

    def _in_parts(
        self,
        method: str,
        rows: Sequence[Any],
        options: tuple[Any, ...],
        progress: Progress,
        length: Callable[[Any], int] = lambda row: 0,
        most: int = sys.maxsize,
    ) -> list[Any]:
        """The engine's result for each row, in order, computed in parts of `rows_per_task` or `most` rows.

        Rows of similar length share a part, for fuller batches. The longest go first, so that no worker ends late.
        Raises LidrError where a worker dies too often.
        """
        if not rows:
            return []
        workers = self._start()
        from ray.exceptions import RayActorError, RayTaskError
        from ray.util import ActorPool

        order = sorted(range(len(rows)), key=lambda place: -length(rows[place]))
        size = min(self.options.rows_per_task, most)
        parts = [order[start : start + size] for start in range(0, len(order), size)]

        def submit(worker: Any, part: list[int]) -> Any:
            return worker.work.remote(method, part, [rows[place] for place in part], options)

        found: dict[int, Any] = {}
        try:
            for part, results in ActorPool(workers).map_unordered(submit, parts):
                found.update(zip(part, results, strict=True))
                progress(len(part))
        except RayTaskError as error:
            if isinstance(error.cause, LidrError):
                raise error.cause from None
            raise
        except RayActorError as error:
            reason = str(error).splitlines()[0]
            raise LidrError(f"a worker of the engine 'ray' died {RETRIES + 1} times: {reason}") from error
        return [found[place] for place in range(len(rows))]

    def _start(self) -> list[Any]:
        """The workers. Raises LidrError where Ray is missing or cannot connect, or has too few GPUs.

        A process has one connection, so one engine of this kind is open at a time.
        """
        if self._workers:
            return self._workers
        ray = _import(self.options)
        self._connect(ray)
        wanted, there = self.options.workers * self.options.gpus_per_worker, ray.cluster_resources().get("GPU", 0)
        if there < wanted:
            self._disconnect()
            raise LidrError(f"Ray has {there:g} GPUs; {wanted} are expected (engine.workers x gpus_per_worker)")
        actor = ray.remote(
            # A worker that reserved a core would wait for one that another engine's worker holds.
            num_cpus=0,
            num_gpus=self.options.gpus_per_worker,
            scheduling_strategy="SPREAD",
            max_restarts=RETRIES,
            max_task_retries=RETRIES,
        )(Worker)
        self._workers = [actor.remote(self.held, self.policy) for _ in range(self.options.workers)]
        return self._workers

    def _connect(self, ray: Any) -> None:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.options.address is not None:
            try:
                ray.init(address=self.options.address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise LidrError(f"no Ray cluster at {self.options.address}: {reason}") from error
            return
        # In the system's temporary folder: socket paths must be short.
        self._folder = tempfile.mkdtemp(prefix="lidr-ray-")
        try:
            ray.init(
                address="local",
                num_cpus=self.options.workers,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
                _node_ip_address="127.0.0.1",
                _temp_dir=self._folder,
                **quiet,
            )
        except Exception as error:  # Ray raises no narrower one where its processes do not answer within 30 s
            self._disconnect()
            raise LidrError(f"Ray did not start on this machine: {str(error).splitlines()[0]}") from error

    def _disconnect(self) -> None:
        """A private cluster ends with the connection."""
        import ray

        ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class Worker:
    """A Ray actor with an engine, whose model is loaded with the first part."""

    def __init__(self, settings: EngineSettings, model: policy.Policy) -> None:
        self.settings, self.policy = settings, model
        self.engine: Engine | None = None

    def work(
        self, method: str, places: list[int], rows: list[Any], options: tuple[Any, ...]
    ) -> tuple[list[int], list[Any]]:
        """The rows' places, and the results of the engine's method."""
        if self.engine is None:
            _check(self.policy)
            self.engine = open_engine(self.settings, self.policy)
        return places, getattr(self.engine, method)(rows, *options)

    def close(self) -> None:
        if self.engine is not None:
            self.engine.close()


def _import(options: Ray) -> Any:
    # Ray reads these once, when it is imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if options.address is None:
        # Despite its name it applies on Linux too: 0 keeps a cluster on the loopback interface.
        os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise LidrError(f"Ray cannot be imported ({error}); `pip install 'lidr[ray]'` installs it") from error
    return ray


def _length(request: Request) -> int:
    return sum(len(message["content"]) for message in request.conversation)


def _absolute(model: policy.Policy) -> policy.Policy:
    """Paths must be absolute: workers have their own working folder. A cluster's machines share the model's folder."""
    adapter = None if model.adapter is None else model.adapter.absolute()
    return dataclasses.replace(model, base=model.base.absolute(), adapter=adapter)


def _check(model: policy.Policy) -> None:
    """On another machine the same path may hold another model; raises InputError where it does."""
    if (model.base / paths.RECORD).exists():
        found = policy.resolve(model.name, model.base.parent).fingerprint
    else:
        found = policy.fingerprint(model.base)
    if found != model.fingerprint:
        reason = f"a worker sees another model there ({found[:12]}, not {model.fingerprint[:12]})"
        raise InputError(reason, model.adapter or model.base)
