"""An engine's worker pool: its size, one thread per worker, and the same completions for any size."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from at_hand import engine_settings, requests
from processes import children

from lidr import pool
from lidr.engines.base import Sampling, ignore
from lidr.engines.settings import Transformers
from lidr.engines.transformers import TransformersEngine
from lidr.errors import LidrError
from lidr.models import policy


def test_auto_is_as_many_as_the_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "cores", lambda: 3)
    monkeypatch.setattr(pool.sys, "platform", "linux")
    assert Transformers(processes="auto").workers_on("cpu") == 3
    assert [Transformers(processes=wanted).workers_on("cpu") for wanted in (None, 4)] == [0, 4]
    assert [Transformers(processes=wanted).workers_on("cuda") for wanted in (None, 4, "auto")] == [0, 0, 0]
    # Its libraries may not survive a fork.
    monkeypatch.setattr(pool.sys, "platform", "darwin")
    assert [Transformers(processes=wanted).workers_on("cpu") for wanted in ("auto", 4)] == [0, 4]


@pytest.fixture
def engine(models: Path) -> Callable[..., TransformersEngine]:
    def make(**values: object) -> TransformersEngine:
        return TransformersEngine(engine_settings("transformers", **values), policy.resolve("m0", models))

    return make


@pytest.mark.pipeline
def test_each_process_computes_with_one_thread(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def asked(_: TransformersEngine) -> list[list[tuple[int, int]]]:
        return [[(os.getpid(), torch.get_num_threads())]]

    monkeypatch.setattr(TransformersEngine, "asked", asked, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with closing(engine(processes=2)) as used:
            found = [one for results in used._results("asked", [()] * 20) for one in results]
    finally:
        torch.set_num_threads(threads)
    assert {count for _, count in found} == {1} and os.getpid() not in {process for process, _ in found}


@pytest.mark.pipeline
@pytest.mark.fault
def test_a_process_that_is_killed_is_an_error_in_words(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    monkeypatch.setattr(TransformersEngine, "kill", kill, raising=False)
    with (
        closing(engine(processes=2)) as used,
        pytest.raises(LidrError, match=r"was ended from outside.*; lower engine\.processes"),
    ):
        list(used._results("kill", [(), ()]))


@pytest.mark.pipeline
def test_completions_do_not_depend_on_the_number_of_processes(
    engine: Callable[..., TransformersEngine],
) -> None:
    wanted, found, sampling = requests("es", 30), [], Sampling(24, temperature=1.0, seed=7)
    for processes in (None, 1, 3):
        told: list[int] = []
        with closing(engine(processes=processes, tokens_per_batch=250)) as used:
            found.append(used.generate(wanted, sampling, told.append))
        assert sum(told) == 30 and len(told) > 2
    assert found[0] == found[1] == found[2]
    assert [completion.id for completion in found[0]] == [request.id for request in wanted]


@pytest.mark.pipeline
def test_a_closed_engine_has_no_processes_and_makes_new_ones(engine: Callable[..., TransformersEngine]) -> None:
    others = children()
    used, wanted = engine(processes=2), requests("en", 4)
    first = used.generate(wanted, Sampling(32), ignore)
    before = children() - others
    used.close()
    assert before and not children() & before
    assert used.generate(wanted, Sampling(32), ignore) == first
    used.close()
