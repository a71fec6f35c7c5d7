"""The transformers engine: its batches, running out of memory, and unloading.

The contract that it shares with the other engines is in test_contract.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from at_hand import engine_settings, requests

from lidr.chat import reasoning
from lidr.engines import continuous
from lidr.engines.base import Sampling, TokenIds, ignore
from lidr.engines.running_batch import RunningBatch
from lidr.engines.transformers import TransformersEngine
from lidr.evaluation.judges.base import opinion
from lidr.evaluation.judges.local import _reply
from lidr.models import policy
from lidr.records import FinishReason

pytestmark = pytest.mark.pipeline

SAMPLING = Sampling(max_new_tokens=64)


@pytest.fixture
def engine(models: Path) -> Callable[..., TransformersEngine]:
    def make(tokens_per_batch: int = 32768) -> TransformersEngine:
        settings = engine_settings("transformers", tokens_per_batch=tokens_per_batch)
        return TransformersEngine(settings, policy.resolve("m0", models))

    return make


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_new_tokens=40),
        Sampling(max_new_tokens=40, repetition_penalty=1.3),
        Sampling(max_new_tokens=40, stop=("answer is",)),
        Sampling(max_new_tokens=7),
    ],
    ids=["greedy", "penalty", "stop", "cut off"],
)
def test_answers_do_not_depend_on_the_rounds(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch, sampling: Sampling
) -> None:
    wanted = requests("en", 8)
    expected = engine().generate(wanted, sampling, ignore)
    # Three rows of this length fit; others join when these have finished.
    few = 3 * (max(completion.prompt_tokens for completion in expected) + 8)
    for tokens_per_round, budget in ((1, 32768), (8, few), (1000, 32768), (1000, 1)):
        monkeypatch.setattr(continuous, "ROUND", tokens_per_round)
        assert engine(budget).generate(wanted[::-1], sampling, ignore)[::-1] == expected
    monkeypatch.setattr(continuous, "ROUND", 8)
    anew = engine(few)
    anew._continuous.keeps_cache = False
    assert anew.generate(wanted, sampling, ignore) == expected


def test_a_stop_string_in_the_reasoning_ends_nothing(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = requests("en", 3)
    plain = engine().generate(wanted, Sampling(max_new_tokens=40), ignore)
    mark, stop = "stones.", "171"
    thought, _, answer = plain[0].text.partition(mark)
    assert stop in thought and stop in answer
    monkeypatch.setattr(reasoning, "split", lambda text: text.partition(mark)[::2] if mark in text else None)
    stopping = Sampling(max_new_tokens=40, stop=(stop,))
    together, [alone] = (engine().generate(some, stopping, ignore) for some in (wanted, wanted[:1]))
    assert together[0] == alone
    assert alone.text == answer.partition(stop)[0]


def test_answers_that_have_ended_leave_and_others_come_in(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuous, "ROUND", 8)
    wanted, told = requests("en", 20), list[int]()
    used = engine(8 * (max(len(engine()._chat.prompt_ids(request.conversation)) for request in wanted) + 40))
    rounds, generate = list[tuple[list[int], int]](), used._continuous.generate

    def watched(batch: RunningBatch, sampling: Sampling) -> Any:
        output = generate(batch, sampling)
        rounds.append(([len(row.answer) for row in batch.rows], output.shape[1] - batch.width))
        return output

    monkeypatch.setattr(used._continuous, "generate", watched)
    found = used.generate(wanted, Sampling(max_new_tokens=50), told.append)
    assert sum(told) == 20
    # A row takes part in one round per 8 tokens of its answer, end token included.
    assert sum(len(rows) for rows, _ in rounds) == sum(min(-(-(c.completion_tokens + 1) // 8), 7) for c in found)
    # No row starts twice, and some round has rows that started at different times.
    assert sum(rows.count(0) for rows, _ in rounds) == 20
    assert any(len(set(rows)) > 1 for rows, _ in rounds)


@pytest.mark.fault
def test_a_batch_that_does_not_fit_is_halved_for_good(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    wanted, one_round = requests("en", 8), Sampling(max_new_tokens=continuous.ROUND)
    expected = engine().generate(wanted, one_round, ignore)
    small = engine()
    generate, sizes = small._continuous.generate, list[int]()

    def limited(batch: RunningBatch, sampling: Sampling) -> Any:
        sizes.append(len(batch.rows))
        if len(batch.rows) > 3:
            raise torch.OutOfMemoryError
        return generate(batch, sampling)

    monkeypatch.setattr(small._continuous, "generate", limited)
    assert small.generate(wanted, one_round, ignore) == expected
    # Two of the first four rows fit at once; of the longer ones after them, one.
    assert sizes == [8, 4, 2, 2, 1, 1, 1, 1]
    sizes.clear()
    assert small.generate(wanted, one_round, ignore) == expected
    assert max(sizes) <= 3


@pytest.mark.fault
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(lambda: torch_error("OutOfMemoryError"), id="GPU"),
        pytest.param(lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), id="CPU"),
        pytest.param(MemoryError, id="Python"),
    ],
)
def test_a_request_that_does_not_fit_alone_is_left_out_and_the_rest_goes_on(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    wanted = requests("en", 8)
    expected = engine().generate(wanted, SAMPLING, ignore)
    small = engine()
    generate, too_large = small._continuous.generate, small._chat.prompt_ids(wanted[5].conversation)

    def without_room_for_one(batch: RunningBatch, sampling: Sampling) -> Any:
        if too_large in [row.prompt for row in batch.rows]:
            raise error()
        return generate(batch, sampling)

    monkeypatch.setattr(small._continuous, "generate", without_room_for_one)
    found = small.generate(wanted, SAMPLING, ignore)
    assert found[:5] + found[6:] == expected[:5] + expected[6:]
    left_out = found[5]
    assert (left_out.id, left_out.text, left_out.finish_reason) == (wanted[5].id, "", FinishReason.OUT_OF_MEMORY)
    assert (left_out.prompt_tokens, left_out.completion_tokens) == (len(too_large), 0)


@pytest.mark.fault
def test_any_other_error_of_the_model_ends_the_run(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = engine()

    def fail(batch: RunningBatch, sampling: Sampling) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(broken._continuous, "generate", fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        broken.generate(requests("en", 2), SAMPLING, ignore)


@pytest.mark.fault
def test_a_question_that_does_not_fit_has_no_verdict_and_the_rest_have(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [request.conversation for request in requests("en", 3)]
    expected = engine().score(asked, ("m", "M"))
    small = engine()
    measure, too_large = small._likelihoods.sums, small._chat.prompt_ids(asked[1])

    def without_room_for_one(rows: Sequence[TokenIds]) -> list[float]:
        if any(row.prompt == too_large for row in rows):
            raise torch_error("OutOfMemoryError")
        return measure(rows)

    monkeypatch.setattr(small._likelihoods, "sums", without_room_for_one)
    assert small.score(asked, ("m", "M")) == [expected[0], [None, None], expected[2]]
    reply = _reply(asked[1], None, None)
    assert (reply.lower, reply.upper, opinion(reply, False)) == (None, None, None)


@pytest.mark.fault
def test_answers_that_do_not_fit_together_are_scored_in_halves(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = engine()
    prompts = [small._chat.prompt_ids(request.conversation) for request in requests("en", 8)]
    rows = [TokenIds(prompt, [40 + n, 50, 2]) for n, prompt in enumerate(prompts)]
    expected = small.log_probabilities(rows, ignore)
    measure, sizes, told = small._likelihoods.sums, list[int](), list[int]()

    def with_room_for_three(part: Sequence[TokenIds]) -> list[float]:
        sizes.append(len(part))
        if len(part) > 3 or rows[6] in part:
            raise torch_error("OutOfMemoryError")
        return measure(part)

    monkeypatch.setattr(small._likelihoods, "sums", with_room_for_three)
    found = small.log_probabilities(rows, told.append)
    assert found[6] is None and sum(told) == 8
    assert found[:6] + found[7:] == pytest.approx(expected[:6] + expected[7:], abs=1e-5)
    assert sizes[:2] == [8, 4]
    sizes.clear()
    small.log_probabilities(rows[:6], ignore)
    assert max(sizes) <= 4, "a lack of memory is remembered"


def torch_error(name: str) -> Exception:
    import torch

    error: Exception = getattr(torch, name)()
    return error


def test_a_closed_engine_lets_go_of_the_model_and_loads_it_anew(engine: Callable[..., TransformersEngine]) -> None:
    import gc
    import weakref

    used, wanted = engine(), requests("en", 2)
    first = used.generate(wanted, SAMPLING, ignore)
    model = weakref.ref(used._model)
    used.close()
    gc.collect()
    assert model() is None
    assert used.generate(wanted, SAMPLING, ignore) == first
