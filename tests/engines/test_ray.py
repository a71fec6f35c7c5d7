"""The engine on Ray: the bytes of a single process, recovery from a worker's death, the right model, no open ports.

The contract that it shares with the other engines is in test_contract.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import psutil
import pytest
from at_hand import AtHand, engine_settings, opened, ray_settings, requests, skip_without

from lidr.engines.base import Completion, Sampling, ignore, open_engine
from lidr.errors import LidrError
from lidr.models import policy

pytestmark = pytest.mark.pipeline

SAMPLING = Sampling(max_new_tokens=64)
WANTED = [request for lang in ("en", "es", "de") for request in requests(lang, 12)]


@pytest.fixture(scope="module")
def own(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the models, of which a test changes one."""
    return Path(shutil.copytree(models, tmp_path_factory.mktemp("ray") / "models"))


@pytest.fixture(scope="module")
def ray(own: Path) -> Iterator[AtHand]:
    """With an adapter; test_contract.py has the base. Its cluster takes seconds to start, and each worker as well."""
    with opened("ray", own, "m1") as found:
        yield found


def one_process(models: Path, name: str) -> list[Completion]:
    with closing(open_engine(engine_settings("transformers"), policy.resolve(name, models))) as engine:
        return engine.generate(WANTED, SAMPLING, ignore)


def test_two_workers_write_what_one_process_does(ray: AtHand, models: Path) -> None:
    found = ray.engine.generate(WANTED, SAMPLING, ignore)
    assert msgspec.json.encode(found) == msgspec.json.encode(one_process(models, "m1"))
    assert [completion.id for completion in found] == [request.id for request in WANTED]
    assert [c.text for c in found] != [c.text for c in one_process(models, "m0")], "the adapter decides"


def test_a_killed_workers_part_is_done_again(ray: AtHand) -> None:
    whole = ray.engine.generate(WANTED, SAMPLING, ignore)
    done: list[int] = []

    def kill_one(count: int) -> None:
        if not done:
            os.kill(workers()[0].pid, signal.SIGKILL)
        done.append(count)

    assert ray.engine.generate(WANTED, SAMPLING, kill_one) == whole
    assert sum(done) == len(WANTED)


def workers() -> list[psutil.Process]:
    """Both workers; a process has no name while it starts, and briefly while it gets its next task."""
    for _ in range(600):
        found = [p for p in psutil.Process().children(recursive=True) if "ray::Worker" in " ".join(p.cmdline())]
        if len(found) == 2:
            break
        time.sleep(0.1)
    assert len(found) == 2
    return found


def test_nothing_listens_but_on_the_loopback_interface(ray: AtHand) -> None:
    ray.engine.generate(WANTED[:2], SAMPLING, ignore)
    this = psutil.Process()
    found = {
        (process.name(), connection.laddr.ip.removeprefix("::ffff:"))
        for process in (this, *this.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert {name for name, _ in found} >= {"gcs_server", "raylet"}
    assert {address for _, address in found} == {"127.0.0.1"}
    # If Ray were imported before the engine imports it, it would need no token.
    from ray._common.usage.usage_lib import usage_stats_enabled
    from ray._private.worker import _global_node

    assert not usage_stats_enabled()
    assert _global_node is not None and not _global_node.webui_url


def test_a_worker_that_sees_another_model_says_so(ray: AtHand, own: Path) -> None:
    """As on a cluster's machine with an old copy; a worker looks at the model before it loads it."""
    file = own / "m1" / "adapter_config.json"
    whole = file.read_bytes()
    file.write_bytes(whole + b"\n")
    for worker in workers():
        worker.kill()
    with pytest.raises(LidrError, match=r"models/m1: a worker sees another model there"):
        ray.engine.generate(WANTED[:1], SAMPLING, ignore)
    file.write_bytes(whole)


def test_closing_ends_all_processes(ray: AtHand) -> None:
    """The last test that uses the shared engine."""
    ray.engine._start()  # they run already, unless this test is alone
    during = workers() + [p for p in psutil.Process().children(recursive=True) if p.name() in ("gcs_server", "raylet")]
    assert len(during) == 4
    ray.engine.close()
    _, alive = psutil.wait_procs(during, timeout=20)
    assert [p.name() for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def test_too_few_gpus_are_an_error_and_no_wait(models: Path) -> None:
    skip_without("ray")
    settings = ray_settings(workers=4, gpus_per_worker=64)
    with (
        closing(open_engine(settings, policy.resolve("m0", models))) as engine,
        pytest.raises(LidrError, match=r"Ray has \d+ GPUs; 256 are expected \(engine.workers x gpus_per_worker\)"),
    ):
        engine.generate(WANTED[:1], SAMPLING, ignore)
