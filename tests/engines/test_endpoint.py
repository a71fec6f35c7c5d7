"""Patience with a server: how long is waited, whose key goes where, and that the first error ends parallel work."""

from __future__ import annotations

import time
from threading import Event

import pytest

from lidr.engines import endpoint
from lidr.errors import LidrError


def test_waits_grow_and_end() -> None:
    waits = [endpoint.next_wait(attempt, None, draw=lambda: 1.0) for attempt in range(9)]
    assert waits[:3] == [1.0, 2.0, 4.0] and max(waits) == endpoint.LONGEST_WAIT
    assert endpoint.next_wait(3, None, draw=lambda: 0.0) == 4.0
    assert endpoint.next_wait(3, asked=7.0) == 7.0


def test_what_a_server_asks_for() -> None:
    assert endpoint.asked_wait("7") == 7.0
    in_a_minute = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    assert 50 < (endpoint.asked_wait(in_a_minute) or 0) <= 60
    assert endpoint.asked_wait("soon") is None and endpoint.asked_wait(None) is None


def test_openais_key_goes_to_openai_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.delenv("OTHER_KEY", raising=False)
    assert endpoint.read_key("https://api.openai.com/v1", "OTHER_KEY") == "sk-of-openai"
    assert endpoint.read_key("http://127.0.0.1:8000/v1", "OTHER_KEY") == endpoint.NO_KEY
    assert endpoint.read_key("https://api.openai.com.example.org/v1", "OTHER_KEY") == endpoint.NO_KEY
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    assert endpoint.read_key("http://127.0.0.1:8000/v1", "OTHER_KEY") == "sk-other"
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(LidrError, match="OPENAI_API_KEY is not set"):
        endpoint.read_key("https://api.openai.com/v1", "OTHER_KEY")


def test_results_come_with_their_index() -> None:
    found: dict[int, int] = {}
    endpoint.in_parallel(range(50), lambda task, stop: task * task, found.__setitem__, concurrency=4)
    assert found == {number: number * number for number in range(50)}


def test_the_first_error_ends_the_rest() -> None:
    begun: list[int] = []

    def work(task: int, stop: Event) -> int:
        begun.append(task)
        if task == 3:
            raise LidrError("no")
        stop.wait(0.05)
        return task

    with pytest.raises(LidrError, match="no"):
        endpoint.in_parallel(range(1000), work, lambda index, result: None, concurrency=2)
    assert len(begun) < 20


def test_an_error_in_taking_a_result_ends_the_rest_too() -> None:
    begun: list[int] = []

    def work(task: int, stop: Event) -> int:
        begun.append(task)
        stop.wait(0.02)
        return task

    def take(index: int, result: int) -> None:
        raise LidrError("enough")

    with pytest.raises(LidrError, match="enough"):
        endpoint.in_parallel(range(1000), work, take, concurrency=2)
    assert len(begun) < 20
