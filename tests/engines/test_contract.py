"""The contract of `lidr.engines.base`, tested on all engines with the lab's model.

An engine that cannot run in this environment is skipped with the reason; `make test-vllm` runs those that need vLLM.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from at_hand import CONTEXT, AtHand, requests

from lidr.chat import open_chat
from lidr.engines.base import Completion, Request, Sampling, TokenIds, ignore
from lidr.engines.shards import Shards
from lidr.errors import LidrError
from lidr.evaluation.mgsm.extraction.words import wording
from lidr.lab import source, world
from lidr.models import policy
from lidr.records import FinishReason
from lidr.records.prompt_templates import prompt_conversation, translation_conversation

pytestmark = pytest.mark.pipeline

SAMPLING = Sampling(max_new_tokens=64)
MGSM_LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")


def generate(at_hand: AtHand, wanted: list[Request], sampling: Sampling = SAMPLING) -> list[Completion]:
    return at_hand.engine.generate(wanted, sampling, ignore)


def texts(completions: list[Completion]) -> list[str]:
    return [completion.text for completion in completions]


def test_one_request(at_hand: AtHand) -> None:
    [wanted] = requests("en", 1)
    [completion] = generate(at_hand, [wanted])
    assert generate(at_hand, []) == []
    assert completion.id == wanted.id
    assert (completion.finish_reason, completion.completion_tokens > 0) == (FinishReason.STOP, True)


def test_completions_come_in_order_and_are_answers(at_hand: AtHand) -> None:
    wanted = requests("en", 12)
    done: list[int] = []
    completions = at_hand.engine.generate(wanted, SAMPLING, done.append)
    assert [c.id for c in completions] == [r.id for r in wanted]
    assert sum(done) == 12
    golds = [task.gold("en") for task in world.tasks("iterations", world.KINDS, 12, seed=3)]
    right = sum(source.quality(c.text, gold, "en") == 1.0 for c, gold in zip(completions, golds, strict=True))
    assert right >= 10, "the base solves most tasks in its dominant language"


def test_more_requests_than_go_into_a_batch(at_hand: AtHand) -> None:
    wanted, short = requests("en", 100) + requests("es", 100), Sampling(max_new_tokens=2)
    done: list[int] = []
    completions = at_hand.engine.generate(wanted, short, done.append)
    assert [c.id for c in completions] == [r.id for r in wanted]
    assert sum(done) == 200
    assert all(c.completion_tokens <= 2 for c in completions)
    some = [0, 99, 100, 199]
    assert texts(generate(at_hand, [wanted[i] for i in some], short)) == [completions[i].text for i in some]


def test_greedy_output_depends_on_the_request_alone(at_hand: AtHand) -> None:
    wanted = requests("es", 8)
    together = generate(at_hand, wanted)
    assert [generate(at_hand, [request])[0] for request in wanted[:3]] == together[:3]
    assert generate(at_hand, wanted[::-1])[::-1] == together


def test_an_empty_prompt_is_answered(at_hand: AtHand) -> None:
    [completion] = generate(at_hand, [Request("empty", prompt_conversation(""))])
    assert completion.id == "empty" and completion.prompt_tokens > 0
    assert completion.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)


def test_a_prompt_that_does_not_fit_is_refused_and_the_rest_goes_on(at_hand: AtHand) -> None:
    long = Request("long", prompt_conversation("apples " * 600))
    wanted = [*requests("en", 2), long, *requests("es", 1)]
    completions = generate(at_hand, wanted)
    reasons = [FinishReason.STOP, FinishReason.STOP, FinishReason.REFUSED, FinishReason.STOP]
    assert [c.id for c in completions] == [r.id for r in wanted]
    assert [c.finish_reason for c in completions] == reasons
    refused = completions[2]
    assert (refused.text, refused.completion_tokens) == ("", 0)
    if at_hand.kind == "vllm serve":  # the server gives the counts in its message only
        assert refused.prompt_tokens == 0
    else:
        assert refused.prompt_tokens > CONTEXT - 64


def test_only_what_fits_with_its_answer_is_begun(at_hand: AtHand) -> None:
    [request] = requests("en", 1)
    [completion] = generate(at_hand, [request])
    room = CONTEXT - completion.prompt_tokens
    fits, too_long = (generate(at_hand, [request], Sampling(max_new_tokens=n))[0] for n in (room, room + 1))
    assert (fits.finish_reason, fits.text) == (FinishReason.STOP, completion.text)
    if at_hand.kind == "vllm serve":  # limits the answer to the space left, and reports `length` if it is too small
        assert (too_long.finish_reason, too_long.text) == (FinishReason.STOP, completion.text)
    else:
        assert too_long.finish_reason is FinishReason.REFUSED


def test_an_answer_at_the_token_limit_says_so(at_hand: AtHand) -> None:
    [completion] = generate(at_hand, requests("en", 1), Sampling(max_new_tokens=3))
    assert (completion.finish_reason, completion.completion_tokens) == (FinishReason.LENGTH, 3)


@pytest.mark.parametrize("part", [slice(None), slice(1, None), slice(None, -1)], ids=["word", "its end", "its start"])
def test_a_stop_string_ends_the_text_and_is_not_in_it(at_hand: AtHand, part: slice) -> None:
    """Inside a token too: the rest of the token is not part of the answer."""
    wanted = requests("en", 1)
    [whole] = generate(at_hand, wanted)
    stop = max(whole.text.split(), key=len)[part]
    [stopped] = generate(at_hand, wanted, replace(SAMPLING, stop=(stop, "never written")))
    assert stopped.finish_reason is FinishReason.STOP
    assert stopped.text == whole.text.partition(stop)[0]
    assert stopped.completion_tokens < whole.completion_tokens


def test_a_stop_string_that_never_comes_changes_nothing(at_hand: AtHand) -> None:
    wanted = requests("en", 2)
    assert generate(at_hand, wanted, replace(SAMPLING, stop=("never written",))) == generate(at_hand, wanted)


def test_a_begun_turn_is_continued(at_hand: AtHand) -> None:
    task = world.tasks("iterations", ("larger",), 1, seed=5)[0]
    conversation = translation_conversation("v1", task.answer("en"), "English", "Spanish")
    [completion] = generate(at_hand, [Request("t", conversation)])
    assert completion.text.endswith("</translated>")
    assert not completion.text.startswith("<translated>")


def test_text_of_any_script_goes_in_whole(at_hand: AtHand, models: Path) -> None:
    """Every engine counts the tokenizer's tokens of the text, and they decode to it."""
    chat, wanted, counts = open_chat(policy.resolve("m0", models)), [], []
    for lang in MGSM_LANGUAGES:
        words = wording(lang)
        text = f"{words.question} 7 + 5 = ?\n{words.steps}"
        ids = chat.prompt_ids(prompt_conversation(text))
        assert text in chat.tokenizer.decode(ids)
        wanted.append(Request(f"{lang}:größer", prompt_conversation(text)))
        counts.append(len(ids))
    completions = generate(at_hand, wanted, Sampling(max_new_tokens=8))
    assert [(c.id, c.prompt_tokens) for c in completions] == [
        (request.id, count) for request, count in zip(wanted, counts, strict=True)
    ]


def test_the_same_seed_samples_the_same(at_hand: AtHand) -> None:
    wanted = requests("es", 10)

    def sample(seed: int) -> list[Completion]:
        return generate(at_hand, wanted, Sampling(max_new_tokens=32, temperature=1.5, seed=seed))

    first = sample(1)
    assert sample(1) == first
    assert sample(2) != first
    assert len(set(texts(first))) > 1


def test_scores_are_log_probabilities_of_the_choices(at_hand: AtHand) -> None:
    task = world.tasks("iterations", ("larger",), 1, seed=5)[0]
    asked = [prompt_conversation(text) for text in (task.prompt("en"), "?", task.prompt("en") * CONTEXT)]
    choices = [task.answer("en"), "Quedan"]
    if at_hand.settings.name == "openai":
        with pytest.raises(LidrError, match="gives no log-probabilities of given texts"):
            at_hand.engine.score(asked, choices)
        return
    scores = at_hand.engine.score(asked, choices)
    assert scores.pop() == [None, None], "it does not fit the context"
    assert [len(row) for row in scores] == [2, 2]
    likely = [[math.exp(score) for score in row if score is not None] for row in scores]
    assert all(0 < value <= 1 for row in likely for value in row)
    assert likely[0][0] > likely[0][1]
    assert likely[0][0] > 0.5 > likely[1][0]


def test_log_probabilities_of_answers_are_those_of_plain_transformers(at_hand: AtHand, models: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    chat, tasks = open_chat(policy.resolve("m0", models)), world.tasks("iterations", world.KINDS, 12, seed=3)
    asked = [prompt_conversation(task.prompt("en")) for task in tasks]
    texts = [task.answer("en") if number % 2 else task.answer("es") for number, task in enumerate(tasks)]
    rows = [TokenIds(chat.prompt_ids(a), chat.answer_ids(a, text)) for a, text in zip(asked, texts, strict=True)]
    rows.insert(4, TokenIds(rows[0].prompt * CONTEXT, rows[0].answer))
    if at_hand.settings.name == "openai":
        with pytest.raises(LidrError, match="gives no log-probabilities of given texts"):
            at_hand.engine.log_probabilities(rows, ignore)
        return
    model, expected = AutoModelForCausalLM.from_pretrained(models / "m0", dtype=torch.float32).eval(), []
    for prompt, answer in rows[:4] + rows[5:]:
        with torch.inference_mode():
            log_probs = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        expected.append(sum(float(log_probs[len(prompt) + k - 1, token]) for k, token in enumerate(answer)))
    told: list[int] = []
    found = at_hand.engine.log_probabilities(rows, told.append)
    assert found.pop(4) is None, "it does not fit the context"
    assert found == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 10
    assert sum(told) == 13
    assert at_hand.engine.log_probabilities([], ignore) == []


def test_a_sampled_run_that_fails_in_the_middle_ends_with_the_same_bytes(at_hand: AtHand, tmp_path: Path) -> None:
    """One engine is enough: all share the code of shards. tests/pipeline/test_kills.py kills whole stages."""
    if at_hand.kind != "transformers":
        pytest.skip("shards are asked of the engine transformers")
    wanted, sampling = requests("en", 24), Sampling(max_new_tokens=24, temperature=0.7, seed=5)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    expected = Shards(whole, 8).generate(at_hand.engine, wanted, sampling, "whole")
    shutil.copytree(whole, resumed)
    for shard in (*resumed.rglob("00001.jsonl"), *resumed.rglob("00002.jsonl")):
        shard.unlink()
    assert Shards(resumed, 8).generate(at_hand.engine, wanted, sampling, "resumed") == expected
    assert shards(resumed) == shards(whole) and len(shards(whole)) == 3


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))}
