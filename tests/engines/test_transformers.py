"""The engine contract, on the lab's model: order, refusals, endings, batches, scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lidr import config, policy
from lidr.engines.base import Completion, Request, Sampling
from lidr.engines.transformers import TransformersEngine
from lidr.lab import source, world
from lidr.records import FinishReason
from lidr.stages import base
from lidr.wording import prompt_conversation, translation_conversation

pytestmark = pytest.mark.pipeline

SAMPLING = Sampling(max_new_tokens=64)
MGSM_LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")


def ignore(count: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, project_settings: config.Settings) -> Path:
    folder = tmp_path_factory.mktemp("models")
    base.run(project_settings, folder / "m0")
    return folder


@pytest.fixture
def engine(models: Path, project_settings: config.Settings) -> Callable[..., TransformersEngine]:
    def make(tokens_per_batch: int = 32768) -> TransformersEngine:
        values = msgspec.to_builtins(project_settings.engine) | {"device": "cpu", "tokens_per_batch": tokens_per_batch}
        return TransformersEngine(msgspec.convert(values, config.Engine), policy.resolve("m0", models))

    return make


def requests(lang: str, count: int) -> list[Request]:
    prompts = source.prompts("iterations", lang, count, seed=3).values()
    return [Request(p.id, prompt_conversation(p.text)) for p in prompts]


def test_completions_come_in_order_with_counts(engine: Callable[..., TransformersEngine]) -> None:
    wanted = requests("en", 20)
    done: list[int] = []
    completions = engine().generate(wanted, SAMPLING, done.append)
    assert [c.id for c in completions] == [r.id for r in wanted]
    assert sum(done) == 20
    assert all(c.finish_reason is FinishReason.STOP and c.completion_tokens > 0 for c in completions)
    golds = [task.gold("en") for task in world.tasks("iterations", world.KINDS, 20, seed=3)]
    right = sum(source.quality(c.text, gold, "en") == 1.0 for c, gold in zip(completions, golds, strict=True))
    assert right >= 16, "the base solves most tasks in its dominant language"


def test_greedy_output_does_not_depend_on_the_batch(engine: Callable[..., TransformersEngine]) -> None:
    wanted = requests("es", 40)
    together = engine().generate(wanted, SAMPLING, ignore)
    alone = engine(tokens_per_batch=1).generate(wanted, SAMPLING, ignore)
    backwards = engine(tokens_per_batch=1000).generate(wanted[::-1], SAMPLING, ignore)[::-1]
    assert together == alone == backwards


def test_a_prompt_that_does_not_fit_is_refused_and_the_rest_goes_on(engine: Callable[..., TransformersEngine]) -> None:
    wanted = [*requests("en", 2), Request("long", prompt_conversation("apples " * 600)), *requests("es", 1)]
    completions = engine().generate(wanted, SAMPLING, ignore)
    assert [c.finish_reason for c in completions] == [
        FinishReason.STOP,
        FinishReason.STOP,
        FinishReason.REFUSED,
        FinishReason.STOP,
    ]
    refused = completions[2]
    assert (refused.id, refused.text, refused.completion_tokens) == ("long", "", 0)
    assert refused.prompt_tokens > 512 - 64


def test_an_answer_at_the_token_limit_says_so(engine: Callable[..., TransformersEngine]) -> None:
    [completion] = engine().generate(requests("en", 1), Sampling(max_new_tokens=3), ignore)
    assert (completion.finish_reason, completion.completion_tokens) == (FinishReason.LENGTH, 3)


def test_stop_strings_end_an_answer(engine: Callable[..., TransformersEngine]) -> None:
    wanted = requests("en", 1)
    [whole] = engine().generate(wanted, SAMPLING, ignore)
    word = whole.text.split()[2]
    [stopped] = engine().generate(wanted, Sampling(max_new_tokens=64, stop=(word,)), ignore)
    assert stopped.finish_reason is FinishReason.STOP
    assert stopped.text.endswith(word) and whole.text.startswith(stopped.text)


def test_a_begun_turn_is_continued(engine: Callable[..., TransformersEngine]) -> None:
    task = world.tasks("iterations", ("larger",), 1, seed=5)[0]
    conversation = translation_conversation("v1", task.answer("en"), "English", "Spanish")
    [completion] = engine().generate([Request("t", conversation)], SAMPLING, ignore)
    assert completion.text.endswith("</translated>")
    assert not completion.text.startswith("<translated>")


def test_no_requests_and_an_empty_prompt(engine: Callable[..., TransformersEngine]) -> None:
    assert engine().generate([], SAMPLING, ignore) == []
    [completion] = engine().generate([Request("empty", prompt_conversation(""))], SAMPLING, ignore)
    assert completion.prompt_tokens > 0


@pytest.mark.parametrize("lang", MGSM_LANGUAGES)
def test_text_of_any_script_goes_in(lang: str, engine: Callable[..., TransformersEngine]) -> None:
    from lidr.languages import native_name

    [completion] = engine().generate([Request(lang, prompt_conversation(native_name(lang)))], SAMPLING, ignore)
    assert isinstance(completion, Completion)
    assert completion.prompt_tokens > 3


def test_the_same_seed_samples_the_same(engine: Callable[..., TransformersEngine]) -> None:
    wanted = requests("es", 10)

    def sample(seed: int) -> list[Completion]:
        return engine().generate(wanted, Sampling(max_new_tokens=32, temperature=1.5, seed=seed), ignore)

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_scores_are_log_probabilities_of_the_choices(engine: Callable[..., TransformersEngine]) -> None:
    task = world.tasks("iterations", ("larger",), 1, seed=5)[0]
    [scores] = engine().score([prompt_conversation(task.prompt("en"))], [task.answer("en"), "Quedan"])
    assert scores[0] > scores[1]
    assert all(score <= 0 for score in scores)
    assert math.exp(scores[0]) > 0.5


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
