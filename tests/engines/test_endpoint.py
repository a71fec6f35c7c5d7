"""Which key is sent to which address, and the first error ends parallel work."""

from __future__ import annotations

import time

import pytest

from lidr.engines import endpoint
from lidr.errors import LidrError


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
    endpoint.in_parallel(range(50), lambda task: task * task, found.__setitem__, concurrency=4)
    assert found == {number: number * number for number in range(50)}


@pytest.mark.parametrize("where", ["work", "taking"])
def test_the_first_error_ends_the_rest(where: str) -> None:
    begun: list[int] = []

    def work(task: int) -> int:
        begun.append(task)
        if task == 3 and where == "work":
            raise LidrError("no")
        time.sleep(0.05)
        return task

    def take(index: int, result: int) -> None:
        if where == "taking":
            raise LidrError("no")

    with pytest.raises(LidrError, match="no"):
        endpoint.in_parallel(range(1000), work, take, concurrency=2)
    assert len(begun) < 20
