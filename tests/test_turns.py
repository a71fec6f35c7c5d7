"""Processes that have their turns one after the other: order, errors, and that none is left, whoever ends first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from processes import children, is_running

from lidr.copies import CopyLostError
from lidr.errors import InputError
from lidr.turns import in_turns

Taken = tuple[tuple[int, int, int], ...]


def work(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def take(taken: Taken, result: tuple[int, int]) -> Taken:
    return (*taken, (*result, os.getpid()))


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_results_are_taken_in_order_where_they_were_made(processes: int, count: int) -> None:
    reported: list[Taken] = []
    taken = in_turns(processes, range(count), work, take, (), reported.append)
    assert [square for square, _, _ in taken] == [number**2 for number in range(count)]
    assert all(worked == took for _, worked, took in taken)
    assert len({process for _, process, _ in taken}) == min(processes, count)
    assert not count or reported[-1] == taken
    assert count < processes or taken[processes - 1][1] == os.getpid()
    assert reported == [taken[: len(part)] for part in reported]


@pytest.mark.parametrize("part", ["blocks", "work", "take"])
@pytest.mark.parametrize("fails_at", range(8))
def test_an_error_of_any_process_is_the_callers(part: str, fails_at: int) -> None:
    """Of whichever process, in whichever round."""

    class Blocks:
        def __iter__(self):  # type: ignore[no-untyped-def]
            for number in range(9):
                check("blocks", number)
                yield number

    def check(where: str, number: int) -> None:
        if (where, number) == (part, fails_at):
            raise InputError(f"not {number}", "rows.jsonl", 7)

    def checked_work(number: int) -> int:
        check("work", number)
        return number

    def checked_take(total: int, number: int) -> int:
        check("take", number)
        return total + number

    with pytest.raises(InputError, match=f"rows.jsonl:7: not {fails_at}"):
        in_turns(3, Blocks(), checked_work, checked_take, 0)


def test_a_bug_in_a_copy_tells_where_it_is() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        in_turns(2, [0, 1], lambda number: 1 / number, lambda total, result: total + result, 0)
    assert any("lambda number: 1 / number" in note for note in caught.value.__notes__)


@pytest.mark.fault
@pytest.mark.parametrize("victim", range(5))
def test_a_copy_that_is_killed_is_an_error_in_words(victim: int) -> None:
    def killed(number: int) -> int:
        if number == victim:
            assert os.getpid() != parent
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    parent = os.getpid()
    with pytest.raises(CopyLostError, match="was ended from outside"):
        in_turns(6, range(20), killed, lambda total, number: total + number, 0)


PARENT = r"""
import os, time
from lidr.turns import in_turns

def work(number):
    os.write(1, b"%d\n" % os.getpid())
    time.sleep(60 if number == 2 else 0)

in_turns(3, range(3), work, lambda state, result: state, 0)
"""


@pytest.mark.fault
def test_copies_end_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    processes = {int(parent.stdout.readline()) for _ in range(3)}
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(is_running(copy) for copy in processes - {parent.pid}):
        assert time.monotonic() < deadline, "a copy goes on without its parent"
        time.sleep(0.05)
