"""Agreement of vLLM and the transformers engine in greedy float32 on an adapter of the lab's base.

    $ make test-vllm
    vllm agrees with transformers on 119 of 120 completions of m1, token for token (99.2%, 95% interval ...)

Different orders of summation change the last bits of logits. So the two may disagree only if the two likeliest tokens
are nearly equal, which is checked for each disagreement.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from at_hand import AtHand, engine_settings, opened, requests, skip_without_vllm
from factories import random_adapter
from safetensors.torch import load_file, save_file

from lidr.engines.base import Completion, Request, Sampling, TokenIds, ignore
from lidr.engines.transformers import TransformersEngine
from lidr.errors import LidrError
from lidr.evaluation.statistics import wilson
from lidr.models import policy
from lidr.records.prompt_templates import translation_conversation

pytestmark = pytest.mark.pipeline

SAMPLING = Sampling(max_new_tokens=64)
PENALISED = Sampling(max_new_tokens=64, repetition_penalty=1.1)
LANGUAGES, COUNT = ("en", "es", "de", "fr", "ru"), 20
# Logits of the two likeliest tokens that are closer than this may swap.
NEAR = 1e-3


@pytest.fixture(scope="module")
def both(models: Path) -> Iterator[tuple[AtHand, TransformersEngine]]:
    skip_without_vllm()
    reference = TransformersEngine(engine_settings("transformers"), policy.resolve("m1", models))
    with opened("vllm", models, "m1") as vllm, closing(reference):
        yield vllm, reference


@pytest.mark.parametrize("sampling", [SAMPLING, PENALISED], ids=["plain", "with a repetition penalty"])
def test_greedy_completions_agree_token_for_token(
    both: tuple[AtHand, TransformersEngine], sampling: Sampling, capsys: pytest.CaptureFixture[str]
) -> None:
    vllm, reference = both
    wanted = [request for lang in LANGUAGES for request in requests(lang, COUNT)]
    wanted += [translation(request, reference) for request in wanted[:COUNT]]
    expected, found = (engine.generate(wanted, sampling, ignore) for engine in (reference, vllm.engine))
    parted = [i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b]
    gaps = [gap(reference, wanted[i], expected[i], found[i], sampling) for i in parted]
    same, n = len(wanted) - len(parted), len(wanted)
    share = wilson(same, n)
    with capsys.disabled():
        print(f"\nvllm agrees with transformers on {same} of {n} completions of m1, token for token", end=" ")
        print(f"({share.estimate:.1%}, 95% interval {share.low:.1%} to {share.high:.1%};", end=" ")
        print(f"repetition penalty {sampling.repetition_penalty};", end=" ")
        print(f"gaps of the two likeliest logits where they part: {[f'{gap:.1e}' for gap in gaps]})")
    assert all(gap < NEAR for gap in gaps), f"they part where the choice is clear: {gaps}"
    assert same / n >= 0.95


def test_the_adapter_is_used(both: tuple[AtHand, TransformersEngine], models: Path) -> None:
    vllm, _ = both
    base = TransformersEngine(engine_settings("transformers"), policy.resolve("m0", models))
    wanted = requests("es", COUNT)
    answers = [engine.generate(wanted, SAMPLING, ignore) for engine in (base, vllm.engine)]
    assert sum(a.text != b.text for a, b in zip(*answers, strict=True)) > 1


def test_scores_agree(both: tuple[AtHand, TransformersEngine]) -> None:
    vllm, reference = both
    asked, choices = [request.conversation for request in requests("es", 20)], ["m", "M", "La respuesta"]
    for ours, theirs in zip(vllm.engine.score(asked, choices), reference.score(asked, choices), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)
    answers = reference.generate(requests("es", 20), SAMPLING, ignore)
    rows = [
        TokenIds(reference._chat.prompt_ids(turns), reference._chat.answer_ids(turns, answer.text))
        for turns, answer in zip(asked, answers, strict=True)
    ]
    found, expected = (engine.log_probabilities(rows, ignore) for engine in (vllm.engine, reference))
    assert found == pytest.approx(expected, abs=1e-4)


# ---- adapters that vLLM would pass over; last, since closing an engine disturbs the open one


@pytest.fixture
def by_paths(models: Path, tmp_path: Path) -> Path:
    """m0, and an adapter whose layers are named by the ends of their paths."""
    (tmp_path / "m0").symlink_to(models / "m0")
    random_adapter(tmp_path, 0.1, ["self_attn.o_proj", "mlp.down_proj"])
    return tmp_path


def test_an_adapter_is_used_whose_layers_are_named_by_paths(by_paths: Path) -> None:
    skip_without_vllm()
    rows = [TokenIds([1, 2, 3], [4, 5, 6])]
    reference = TransformersEngine(engine_settings("transformers"), policy.resolve("m1", by_paths))
    with opened("vllm", by_paths, "m1") as vllm, closing(reference):
        found, expected = (engine.log_probabilities(rows, ignore) for engine in (vllm.engine, reference))
    assert found == pytest.approx(expected, abs=1e-4)


def test_an_adapter_that_vllm_does_not_apply_is_an_error(by_paths: Path) -> None:
    """As of a model whose layers vLLM calls by other names."""
    skip_without_vllm()
    file = by_paths / "m1" / "adapter_model.safetensors"
    save_file({name.replace(".layers.", ".blocks."): weights for name, weights in load_file(file).items()}, file)
    with (
        opened("vllm", by_paths, "m1") as vllm,
        pytest.raises(LidrError, match="vLLM applies none of the adapter's weights"),
    ):
        vllm.engine.generate(requests("es", 1), SAMPLING, ignore)


def translation(request: Request, engine: TransformersEngine) -> Request:
    """A request to translate another request's answer, with the assistant's turn begun."""
    [answer] = engine.generate([request], SAMPLING, ignore)
    return Request(f"{request.id}:es", translation_conversation("v1", answer.text, "English", "Spanish"))


def gap(
    engine: TransformersEngine, request: Request, ours: Completion, theirs: Completion, sampling: Sampling
) -> float:
    """The difference of the two highest logits at the first token that differs."""
    import torch

    prompt = engine._chat.prompt_ids(request.conversation)
    tokens = [engine._chat.answer_ids(request.conversation, c.text) for c in (ours, theirs)]
    shared = next(i for i, (a, b) in enumerate(zip(*tokens, strict=False)) if a != b)
    ids = torch.tensor([prompt + tokens[0][:shared]])
    with torch.inference_mode():
        logits: Any = engine._model(input_ids=ids).logits[0, -1].double()
    seen = torch.unique(ids)
    penalty = sampling.repetition_penalty
    logits[seen] = torch.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
    first, second = logits.topk(2).values.tolist()
    return float(first - second)
