"""Forked copies: what they give back and when, and that none is left when their work, or their parent, ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from processes import is_running

from lidr.copies import Copies, CopyLostError, frozen
from lidr.errors import InputError

PARENT = """
import os, time
from lidr.copies import Copies

def report(seconds):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once: both write to one pipe
    time.sleep(seconds)

for _ in Copies(2, report).as_they_come([(60,), (60,)]):
    pass
"""


def test_what_was_frozen_before_stays_frozen() -> None:
    gc.unfreeze()
    with frozen():
        before = gc.get_freeze_count()
        assert before > 5_000
        with closing(Copies(2, abs)) as copies:
            assert list(copies.in_order([(-1,)])) == [1]
        assert gc.get_freeze_count() >= before
    assert gc.get_freeze_count() == 0


def test_what_python_itself_begins_with_does_not_keep_the_rest_frozen() -> None:
    code = "import gc; from lidr.copies import frozen\nwith frozen(): pass\nprint(gc.get_freeze_count())"
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert alone.stdout == "0\n"


def test_results_come_in_order_from_processes_of_their_own() -> None:
    with closing(Copies(2, _square_the_first_slowly)) as copies:
        found = list(copies.in_order((number,) for number in range(20)))
    assert [square for square, _ in found] == [number**2 for number in range(20)]
    assert os.getpid() not in {process for _, process in found}


def test_results_come_as_they_are_done() -> None:
    with closing(Copies(2, _square_the_first_slowly)) as copies:
        found = [square for square, _ in copies.as_they_come([(number,) for number in range(3)])]
    assert sorted(found) == [0, 1, 4] and found[-1] == 0


def _square_the_first_slowly(number: int) -> tuple[int, int]:
    if number == 0:
        time.sleep(1)
    return number**2, os.getpid()


def test_no_more_is_taken_than_keeps_the_copies_busy() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[tuple[int]]:
        for number in range(100):
            taken.append(number)
            yield (number,)

    with closing(Copies(2, abs)) as copies:
        results = copies.in_order(numbers())
        assert next(results) == 0 and taken == [0, 1, 2, 3, 4]
        assert list(results) == list(range(1, 100))


def test_each_copy_begins_once() -> None:
    begun: list[int] = []

    with closing(Copies(2, lambda _: len(begun), begin=lambda: begun.append(1))) as copies:
        assert set(copies.in_order((number,) for number in range(9))) == {1}
    assert begun == []


@pytest.mark.parametrize("order", ["in_order", "as_they_come"])
def test_an_error_of_the_work_is_the_callers(order: str) -> None:
    with closing(Copies(1, _refuse)) as copies, pytest.raises(InputError, match="not 3"):
        list(getattr(copies, order)([(3,)]))


def _refuse(number: int) -> None:
    raise InputError(f"not {number}")


@pytest.mark.fault
@pytest.mark.parametrize("order", ["in_order", "as_they_come"])
def test_a_copy_that_is_killed_is_an_error_in_words(order: str) -> None:
    with closing(Copies(2, _kill_itself)) as copies, pytest.raises(CopyLostError, match="was ended from outside"):
        list(getattr(copies, order)([(0,), (1,)]))


def _kill_itself(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.fault
def test_copies_end_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    copies = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(is_running(copy) for copy in copies):
        assert time.monotonic() < deadline, "a copy goes on without its parent"
        time.sleep(0.05)
