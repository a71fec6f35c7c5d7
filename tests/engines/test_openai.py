"""The engine `openai` against fake servers with all kinds of behaviour, without a model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from at_hand import server_settings
from fake_endpoint import KEY, Endpoint, running

from lidr.engines.base import Completion, Request, Sampling, ignore, refused
from lidr.engines.endpoint import NO_KEY, in_parallel, read_key
from lidr.engines.openai import OpenAIEngine
from lidr.errors import LidrError
from lidr.models.policy import Policy
from lidr.records import FinishReason
from lidr.records.prompt_templates import Conversation, prompt_conversation, translation_conversation

MODEL = Policy("m1", Path("models/m0"), Path("models/m1"), False, "a" * 64, (2, 7))
SAMPLING = Sampling(max_new_tokens=8)
TOO_LONG = {
    "vllm": "This model's maximum context length is 512 tokens. However, your prompt contains 601 input tokens, which",
    "openai": "This model's maximum context length is 512 tokens. However, your messages resulted in 601 tokens.",
    "other": "the request exceeds the available context window",
}


def answered(content: str | None, reason: str | None = "stop") -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": reason}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def echo(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, answered(f"re: {body['messages'][0]['content']}")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("LIDR_ENGINE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with running() as found:
        found.model = echo
        yield found


def engine(endpoint: Endpoint, takes: str = "vllm", **values: object) -> OpenAIEngine:
    return OpenAIEngine(server_settings(endpoint.url, takes, **{"concurrency": 4, **values}), MODEL)


def requests(count: int) -> list[Request]:
    return [Request(f"p{n}:es", prompt_conversation(f"question {n}")) for n in range(count)]


def ask(engine: OpenAIEngine, conversation: Conversation, sampling: Sampling = SAMPLING) -> Completion:
    [found] = engine.generate([Request("p", conversation)], sampling, ignore)
    return found


def test_results_in_order_and_no_more_at_once_than_allowed(endpoint: Endpoint) -> None:
    def slow_at_first(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        time.sleep(0.1 if body["messages"][0]["content"] == "question 0" else 0.005)
        return echo(body)

    endpoint.model = slow_at_first
    done: list[int] = []
    found = engine(endpoint).generate(requests(40), SAMPLING, done.append)
    assert [(c.id, c.text) for c in found] == [(f"p{n}:es", f"re: question {n}") for n in range(40)]
    assert sum(done) == 40 and 2 <= endpoint.most_at_once <= 4
    assert (found[0].finish_reason, found[0].prompt_tokens, found[0].completion_tokens) == (FinishReason.STOP, 3, 2)
    assert endpoint.keys == {f"Bearer {KEY}"}
    assert len({body["seed"] for body in endpoint.bodies}) == 40


def test_every_request_has_a_seed_of_its_own_that_stays(endpoint: Endpoint) -> None:
    for _ in range(2):
        engine(endpoint, concurrency=1).generate(requests(3), SAMPLING, ignore)
    seeds = [body["seed"] for body in endpoint.bodies]
    assert seeds[:3] == seeds[3:] and len(set(seeds)) == 3


def test_what_is_sent_to_a_server_that_takes_what_vllms_does(endpoint: Endpoint) -> None:
    sampling = Sampling(8, temperature=0.5, top_p=0.9, repetition_penalty=1.1, stop=("\n",), seed=7)
    ask(engine(endpoint), translation_conversation("v1", "It is 25.", "English", "German"), sampling)
    [body] = endpoint.bodies
    assert body.pop("messages")[-1] == {"role": "assistant", "content": "<translated>"}
    assert 0 <= body.pop("seed") < 2**31
    assert body == {
        "model": "m1",
        "max_tokens": 8,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["\n"],
        "repetition_penalty": 1.1,
        "top_k": 0,
        "stop_token_ids": [2, 7],
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


def test_what_is_sent_to_any_other_server(endpoint: Endpoint) -> None:
    ask(engine(endpoint, takes="openai"), prompt_conversation("hello"))
    assert set(endpoint.bodies[0]) == {"model", "messages", "max_tokens", "temperature", "top_p", "seed"}


@pytest.mark.parametrize(
    ("conversation", "sampling", "message"),
    [
        (translation_conversation("v1", "a", "English", "German"), SAMPLING, "a begun turn"),
        (prompt_conversation("a"), Sampling(8, repetition_penalty=1.1), "a repetition penalty"),
    ],
    ids=["begun turn", "repetition penalty"],
)
def test_what_a_server_does_not_take_is_not_left_out_in_silence(
    endpoint: Endpoint, conversation: Conversation, sampling: Sampling, message: str
) -> None:
    other = engine(endpoint, takes="openai")
    assert not other.settings.continues_turns
    with pytest.raises(LidrError, match=f"{message} is nothing that every server takes"):
        ask(other, conversation, sampling)
    assert endpoint.bodies == []


@pytest.mark.parametrize("fault", ["429", "429 0", "500", "503 0", "truncated", "no usage"])
def test_a_passing_fault_is_tried_again(endpoint: Endpoint, fault: str) -> None:
    endpoint.faults = lambda number, body: fault if number in (1, 3) else None
    found = engine(endpoint, concurrency=1).generate(requests(3), SAMPLING, ignore)
    assert len(endpoint.bodies) == 5
    assert [c.text for c in found] == ["re: question 0", "re: question 1", "re: question 2"]


@pytest.mark.parametrize(
    ("fault", "message", "sent"),
    [
        ("500", "failed, tried up to 3 times: status 500", 3),
        ("no usage", "failed 3 times: not a chat completion: Object missing required field `usage`", 3),
        ("401", "refuses: status 401", 1),
        ("400", "refuses: status 400", 1),
        ("429 3600", "(Retry-After: 3600)", 1),
    ],
)
def test_a_fault_that_stays_ends_the_run_without_the_key(
    endpoint: Endpoint, fault: str, message: str, sent: int
) -> None:
    endpoint.faults = lambda number, body: fault
    with pytest.raises(LidrError) as caught:
        engine(endpoint, concurrency=1).generate(requests(3), SAMPLING, ignore)
    assert message in str(caught.value) and KEY not in str(caught.value)
    assert str(caught.value).startswith(f"the engine's server m1 at {endpoint.url} ")
    # Another request may have started before the first one's end was seen.
    assert [body["messages"][-1]["content"] for body in endpoint.bodies].count("question 0") == sent


@pytest.mark.parametrize("server", TOO_LONG)
def test_a_prompt_that_is_too_long_is_refused_by_its_id(endpoint: Endpoint, server: str) -> None:
    def reject(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["messages"][0]["content"] == "question 1":
            return 400, {"error": {"message": TOO_LONG[server]}}
        return echo(body)

    endpoint.model = reject
    found = engine(endpoint).generate(requests(3), SAMPLING, ignore)
    assert found[1] == refused("p1:es", prompt_tokens=0)
    assert [c.text for c in found] == ["re: question 0", "", "re: question 2"]


@pytest.mark.parametrize(
    ("content", "reason", "expected"),
    [
        ("half of", "content_filter", "refused"),
        (None, "stop", "refused"),
        ("cut", "length", "length"),
        ("", "stop", "stop"),
    ],
)
def test_how_an_answer_ended(endpoint: Endpoint, content: str | None, reason: str, expected: str) -> None:
    endpoint.model = lambda body: (200, answered(content, reason))
    found = ask(engine(endpoint), prompt_conversation("a"))
    assert found.finish_reason is FinishReason(expected)
    assert found.text == ("" if expected == "refused" else content)


def test_what_is_no_answer_and_no_refusal_ends_the_run(endpoint: Endpoint) -> None:
    replies = {
        "unknown parameter": (400, {"error": {"message": "unknown parameter: 'seed'"}}),
        "the server ended the request 'p' with 'tool_calls'": (200, answered("a", "tool_calls")),
        "the server ended the request 'p' with None": (200, answered("a", None)),
    }
    for message, reply in replies.items():
        endpoint.model = lambda body, reply=reply: reply
        with pytest.raises(LidrError, match=message):
            ask(engine(endpoint), prompt_conversation("a"))


def test_a_model_without_a_name_there(endpoint: Endpoint) -> None:
    with pytest.raises(LidrError, match=r"engine\.models names no 'm1'"):
        engine(endpoint, models={"m0": "m0"})


def test_openais_own_models_get_no_key_that_they_refuse() -> None:
    made, [request] = OpenAIEngine(server_settings("https://api.openai.com/v1", "openai"), MODEL), requests(1)
    body = made._body(request, Sampling(8, temperature=1, top_p=1))
    assert body.keys() == {"messages", "max_completion_tokens", "seed"}
    body = made._body(request, Sampling(8, temperature=0, top_p=0.9))
    assert (body["temperature"], body["top_p"]) == (0, 0.9)


def test_openais_key_goes_to_openai_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.delenv("OTHER_KEY", raising=False)
    assert read_key("https://api.openai.com/v1", "OTHER_KEY") == "sk-of-openai"
    for address in ("http://127.0.0.1:8000/v1", "https://api.openai.com.example.org/v1"):
        assert read_key(address, "OTHER_KEY") == NO_KEY
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    assert read_key("http://127.0.0.1:8000/v1", "OTHER_KEY") == "sk-other"
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(LidrError, match="OPENAI_API_KEY is not set"):
        read_key("https://api.openai.com/v1", "OTHER_KEY")


@pytest.mark.parametrize("where", ["work", "taking"])
def test_the_first_error_ends_the_rest(where: str) -> None:
    begun: list[int] = []

    def work(task: int) -> None:
        begun.append(task)
        if task == 3 and where == "work":
            raise LidrError("no")
        time.sleep(0.05)

    def take(index: int, result: None) -> None:
        if where == "taking":
            raise LidrError("no")

    with pytest.raises(LidrError, match="no"):
        in_parallel(range(1000), work, take, concurrency=2)
    assert len(begun) < 20
