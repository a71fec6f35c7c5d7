"""From journals into MLflow: who publishes what, and when.

    >>> publish_pending()
    PublishReport(published=('train m2 · beta 0.1',), waiting=(), reason=None, address='sqlite:////home/ada/mlflow.db')

A publisher holds a lock on the journal that it works on, so two of them never work on one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from lidr.tracking import connection, journal, store
from lidr.tracking.publication import Publication

_POLL = 0.1
_BETWEEN_BATCHES = 1.0
_BETWEEN_TRIES = 5.0


class PublishReport(Struct, frozen=True, kw_only=True):
    """What came of publishing: names of runs that MLflow now has, journals that still wait, and why the first does."""

    published: tuple[str, ...]
    waiting: tuple[str, ...]
    reason: str | None
    address: str


def publish_pending(wait: bool = True) -> PublishReport:
    """Publish all journals of stages that have ended; those that another publisher has are waited for, or skipped.

    Raises InputError where there is no project.
    """
    root = store.project_root()
    store.check_project(root)
    published: list[str] = []
    waiting: list[str] = []
    reasons: list[str] = []
    with connection.environment():
        for path in journal.pending(root):
            if journal.is_alive(path):
                continue
            try:
                name = None if reasons and not _answers(root) else _publish(root, path, wait)
            except Exception as error:
                reasons.append(connection.reason(error))
                name = None
            if name:
                published.append(name)
            elif path.exists():
                waiting.append(path.name)
    return PublishReport(
        published=tuple(published),
        waiting=tuple(waiting),
        reason=reasons[0] if reasons else None,
        address=store.without_secrets(store.tracking_uri(root)),
    )


def follow(path: Path) -> str | None:
    """Publish a journal while its stage writes it, after those that wait; returns why it could not be finished."""
    root = store.project_root()
    with connection.environment(), journal.taken(path, wait=True) as is_ours, ExitStack() as at_end:
        publication: Publication | None = None
        monitored = False
        while is_ours:
            ended, pause = not journal.is_alive(path), _BETWEEN_BATCHES
            try:
                if publication is None:
                    publication = Publication(connection.connect(root), root, path)
                    _publish_others(root, path)
                if publication.advance():
                    return None
                if publication.wants_system_metrics and not monitored:
                    monitored = True
                    at_end.callback(_monitor_system(publication.run_id, store.tracking_uri(root)))
            except Exception as error:
                if ended:
                    return connection.reason(error)
                publication, pause = None, _BETWEEN_TRIES
            _sleep(path, pause)
    return None


def _publish(root: Path, path: Path, wait: bool) -> str | None:
    """Publish an ended stage's journal; the run's name, or None where another publisher has it or is done with it."""
    with journal.taken(path, wait) as is_ours:
        if not is_ours:
            return None
        publication = Publication(connection.connect(root), root, path)
        return publication.name if publication.advance() else None


def _publish_others(root: Path, own: Path) -> None:
    """Publish what earlier stages left; what fails stays for `lidr track`, which says why."""
    for path in journal.pending(root):
        if path != own and not journal.is_alive(path):
            try:
                _publish(root, path, wait=False)
            except Exception as error:
                logging.getLogger(__name__).warning("%s: %s", path.name, connection.reason(error))


def _answers(root: Path) -> bool:
    """Whether the store can be reached: after one failure, not every other journal has to wait for its own."""
    try:
        connection.connect(root).search_experiments(max_results=1)
    except Exception:
        return False
    return True


def _sleep(path: Path, seconds: float) -> None:
    """Wait, but not beyond the stage's end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and journal.is_alive(path):
        time.sleep(_POLL)


def _monitor_system(run_id: str, uri: str) -> Callable[[], None]:
    """Sample processor, memory and GPU into the run until the function that this returns is called."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor.finish
