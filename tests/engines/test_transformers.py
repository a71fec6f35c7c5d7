"""What is the transformers engine's own: its batches, a device that is too small, and that it lets go of the model.

The contract that it shares with the other engines is in test_contract.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from at_hand import engine_settings, ignore, requests

from lidr import policy
from lidr.engines.base import Sampling
from lidr.engines.transformers import TransformersEngine

pytestmark = pytest.mark.pipeline

SAMPLING = Sampling(max_new_tokens=64)


@pytest.fixture
def engine(models: Path) -> Callable[..., TransformersEngine]:
    def make(tokens_per_batch: int = 32768) -> TransformersEngine:
        settings = engine_settings("transformers", tokens_per_batch=tokens_per_batch)
        return TransformersEngine(settings, policy.resolve("m0", models))

    return make


def test_greedy_output_does_not_depend_on_the_batch(engine: Callable[..., TransformersEngine]) -> None:
    wanted = requests("es", 40)
    together = engine().generate(wanted, SAMPLING, ignore)
    alone = engine(tokens_per_batch=1).generate(wanted, SAMPLING, ignore)
    backwards = engine(tokens_per_batch=1000).generate(wanted[::-1], SAMPLING, ignore)[::-1]
    assert together == alone == backwards


def test_a_batch_that_does_not_fit_is_halved(
    engine: Callable[..., TransformersEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    wanted = requests("en", 8)
    expected = engine().generate(wanted, SAMPLING, ignore)
    small = engine()
    generate, sizes = small._generate, []

    def with_room_for_three(prompts: list[list[int]], sampling: Sampling) -> list[list[int]]:
        sizes.append(len(prompts))
        if len(prompts) > 3:
            raise torch.OutOfMemoryError
        return generate(prompts, sampling)

    monkeypatch.setattr(small, "_generate", with_room_for_three)
    assert small.generate(wanted, SAMPLING, ignore) == expected
    assert sizes == [8, 4, 2, 2, 4, 2, 2]


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


def test_the_fingerprint_tells_precisions_apart(models: Path) -> None:
    model = policy.resolve("m0", models)
    single, half = (
        TransformersEngine(engine_settings("transformers", dtype=d), model) for d in ("float32", "bfloat16")
    )
    assert single.fingerprint != half.fingerprint
