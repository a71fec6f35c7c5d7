"""Running batches on tiny models of each family: an answer does not depend on its batch."""

from __future__ import annotations

import random
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from factories import ROOT

from lidr.engines import continuous
from lidr.engines.base import Sampling
from lidr.engines.continuous import ContinuousBatching
from lidr.engines.running_batch import RunningBatch, SequenceState, keeps_cache
from lidr.records import FinishReason

sys.path.insert(0, str(ROOT / "tests" / "training"))
import families

NEW_TOKENS = 24
ENDS = frozenset({2, *range(60, 66)})
# Their caches have a state that belongs to no token.
ANEW = {"Qwen 3.5"}


class Chat:
    """A chat whose conversations are token ids, and whose model has several end tokens."""

    pad_id, end_ids = 2, ENDS

    def prompt_ids(self, conversation: Any) -> list[int]:
        return list(conversation)

    def read(self, ids: list[int]) -> SimpleNamespace:
        return SimpleNamespace(text=" ".join(map(str, ids)), reasoning=None)


def answers(model: Any, prompts: list[list[int]], keeps: bool) -> list[tuple[str, FinishReason]]:
    """By continuous batching, about three rows at a time."""
    batching = ContinuousBatching(model, Chat(), context=256, budget=3 * 56, keeps_cache=keeps)
    rows = [SequenceState(index, str(index), prompt, []) for index, prompt in enumerate(prompts)]
    found = dict(result for results in batching.answer(rows, Sampling(NEW_TOKENS)) for result in results)
    return [(found[index].text, found[index].finish_reason) for index in range(len(prompts))]


def tiny_llama() -> Any:
    model = families.build("Llama").eval()
    model.generation_config.update(eos_token_id=sorted(ENDS), pad_token_id=Chat.pad_id)
    return model


def alone(model: Any, prompt: list[int]) -> list[int]:
    import torch

    output = model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=NEW_TOKENS, do_sample=False)
    ids = output[0, len(prompt) :].tolist()
    return ids[:-1] if ids[-1] in ENDS else ids


@pytest.mark.parametrize("family", families.FAMILIES)
def test_every_answer_is_that_of_its_request_alone(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuous, "ROUND", 8)
    rng = random.Random(family)
    # Shorter and longer than the families' windows of 16 tokens.
    prompts = [[rng.randrange(6, 60) for _ in range(rng.randint(4, 40))] for _ in range(6)]
    model = families.build(family).eval()
    model.generation_config.update(eos_token_id=sorted(ENDS), pad_token_id=Chat.pad_id)
    assert keeps_cache(model) is (family not in ANEW)
    expected = [alone(model, prompt) for prompt in prompts]
    told = [
        (" ".join(map(str, ids)), FinishReason.LENGTH if len(ids) == NEW_TOKENS else FinishReason.STOP)
        for ids in expected
    ]
    assert answers(model, prompts, keeps_cache(model)) == told


@pytest.mark.fault
def test_a_lack_of_memory_halves_what_all_rows_have_at_the_widest_ones_width(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(continuous, "ROUND", 8)
    batching = ContinuousBatching(tiny_llama(), Chat(), context=256, budget=1000, keeps_cache=True)
    monkeypatch.setattr(batching.chat, "end_ids", frozenset())  # no sequence ends early
    admitted, generate, shapes = iter((5, 3)), batching.generate, list[tuple[int, int]]()
    monkeypatch.setattr(batching, "_admissible", lambda *_: next(admitted))

    def limited(batch: RunningBatch, sampling: Sampling) -> Any:
        shapes.append((len(batch.rows), batch.width))
        if len(shapes) == 2:
            raise torch.OutOfMemoryError
        return generate(batch, sampling)

    monkeypatch.setattr(batching, "generate", limited)
    prompts = [[7] * 110] * 5 + [[8] * 4] * 3
    rows = [SequenceState(index, str(index), prompt, []) for index, prompt in enumerate(prompts)]
    rounds = batching.answer(rows, Sampling(NEW_TOKENS))
    for _ in range(2):
        next(rounds)
    assert shapes == [(5, 110), (3, 4)]
    assert batching.budget.tokens == 8 * (118 + 8) // 2


@pytest.mark.fault
@pytest.mark.parametrize("step", ["merge", "keep"])
def test_a_lack_of_memory_beside_the_model_is_one_too(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(continuous, "ROUND", 8)
    rng = random.Random(3)
    prompts = [[rng.randrange(6, 60) for _ in range(rng.randint(4, 40))] for _ in range(8)]
    model = tiny_llama()
    expected = answers(model, prompts, keeps=True)
    working, failures = getattr(RunningBatch, step), [True]

    def limited(batch: RunningBatch, given: Any) -> None:
        working(batch, given)
        if failures:
            failures.pop()
            raise torch.OutOfMemoryError

    monkeypatch.setattr(RunningBatch, step, limited)
    assert answers(model, prompts, keeps=True) == expected
    assert not failures


def test_a_state_beside_the_cache_is_seen() -> None:
    import transformers

    values = families.SHAPE | families.HEADS | {"lru_width": 64, "block_types": ["recurrent", "attention"]}
    settings = transformers.RecurrentGemmaConfig(**values)
    assert not keeps_cache(transformers.AutoModelForCausalLM.from_config(settings))
