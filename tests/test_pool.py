"""The worker pool: results and their order, and that no worker outlives its pool or its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest
from processes import is_running

from lidr.errors import InputError, LidrError
from lidr.pool import WorkerPool

PARENT = """
import os, time
from lidr.pool import WorkerPool

def report(seconds):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once: both write to one pipe
    time.sleep(seconds)

for _ in WorkerPool(2, report).as_completed([(60,), (60,)]):
    pass
"""


def test_results_come_in_order_or_as_they_are_done_from_processes_of_their_own() -> None:
    with closing(WorkerPool(2, _square_the_first_slowly)) as pool:
        found = list(pool.in_order((number,) for number in range(20)))
        completed = [square for square, _ in pool.as_completed([(number,) for number in range(3)])]
    assert sorted(completed) == [0, 1, 4] and completed[-1] == 0
    assert [square for square, _ in found] == [number**2 for number in range(20)]
    assert os.getpid() not in {process for _, process in found}


def _square_the_first_slowly(number: int) -> tuple[int, int]:
    if number == 0:
        time.sleep(1)
    return number**2, os.getpid()


def test_each_worker_begins_once() -> None:
    begun: list[int] = []

    with closing(WorkerPool(2, lambda _: len(begun), begin=lambda: begun.append(1))) as pool:
        assert set(pool.in_order((number,) for number in range(9))) == {1}
    assert begun == []


@pytest.mark.parametrize("order", ["in_order", "as_completed"])
def test_an_error_of_the_work_is_the_callers(order: str) -> None:
    with closing(WorkerPool(1, _refuse)) as pool, pytest.raises(InputError, match="not 3"):
        list(getattr(pool, order)([(3,)]))


def _refuse(number: int) -> None:
    raise InputError(f"not {number}")


@pytest.mark.fault
@pytest.mark.parametrize("order", ["in_order", "as_completed"])
def test_a_worker_that_is_killed_is_an_error_in_words(order: str) -> None:
    message = "one of several processes was ended from outside, as where memory runs out; use fewer"
    with closing(WorkerPool(2, _kill_itself, advice="use fewer")) as pool, pytest.raises(LidrError) as error:
        list(getattr(pool, order)([(0,), (1,)]))
    assert str(error.value) == message


def _kill_itself(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.fault
def test_workers_end_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker goes on without its parent"
        time.sleep(0.05)
