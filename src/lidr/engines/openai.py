"""The engine for any OpenAI-compatible server, such as `vllm serve`.

    engine: {name: openai, endpoint: "http://127.0.0.1:8000/v1", models: {m0: m0, m1: m1}, ...}

The server applies the chat template and counts the tokens. Which model runs there cannot be checked: `models` is the
user's word for it. The key comes from the environment (LIDR_ENGINE_KEY, or OPENAI_API_KEY for api.openai.com).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lidr.chat import reasoning
from lidr.engines.base import Completion, Progress, Request, Sampling, TokenIds, fingerprint_of, refused, request_seed
from lidr.engines.endpoint import Endpoint, Rejected, Usage, in_parallel, is_openais, read_key
from lidr.engines.settings import OpenAI
from lidr.errors import LidrError
from lidr.models.policy import Policy
from lidr.records import FinishReason
from lidr.records.prompt_templates import Conversation

# Servers' messages for a prompt that is too long for the model, with status 400.
_TOO_LONG = re.compile(r"context[ _]length|context window|maximum (model|input) length|too many tokens", re.IGNORECASE)

_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH, "content_filter": FinishReason.REFUSED}


class ServerMessage(msgspec.Struct):
    """`reasoning_content` is what vLLM, SGLang and DeepSeek call it, `reasoning` OpenRouter and newer vLLM."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(msgspec.Struct):
    message: ServerMessage
    finish_reason: str | None = None


class ServerCompletion(msgspec.Struct):
    """The fields of a chat completion that are read."""

    choices: Annotated[list[Choice], Meta(min_length=1)]
    usage: Usage


class OpenAIEngine:
    """See `lidr.engines.base.Engine` for the contract. Requests are sent several at a time."""

    def __init__(self, settings: OpenAI, model: Policy) -> None:
        if model.name not in settings.models:
            raise LidrError(f"engine.models names no {model.name!r}: the server's name of it is expected")
        self.settings = settings
        self._end_ids = list(model.end_ids)
        self._name = settings.models[model.name]
        self.fingerprint = fingerprint_of(model, "openai", settings.endpoint, self._name, settings.takes)

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        if not requests:
            return []
        where = self.settings
        key = read_key(where.endpoint, where.key_variable)
        who = f"the engine's server {self._name} at {where.endpoint}"
        server = Endpoint(who, self._name, where.endpoint, key, where.retries, where.timeout_seconds)
        completions: dict[int, Completion] = {}

        def complete(request: Request) -> Completion:
            try:
                return _completion(request.id, server.complete(self._body(request, sampling), ServerCompletion))
            except Rejected as error:
                if error.status == 400 and _TOO_LONG.search(error.said):
                    return refused(request.id, prompt_tokens=0)
                raise

        def take(index: int, completion: Completion) -> None:
            completions[index] = completion
            progress(1)

        in_parallel(requests, complete, take, where.concurrency)
        return [completions[index] for index in range(len(requests))]

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        raise LidrError("the engine 'openai' gives no log-probabilities of given texts")

    def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
        """Not possible: a server gives those of generated tokens only. params.yaml is refused before anything runs."""
        raise LidrError("the engine 'openai' gives no log-probabilities of given texts")

    def close(self) -> None:
        """Nothing to release: the server is its owner's."""

    def _body(self, request: Request, sampling: Sampling) -> dict[str, Any]:
        """The request's body; keys that OpenAI's API lacks go into `extra_body`."""
        body: dict[str, Any] = {
            "messages": request.conversation,
            # OpenAI's reasoning models refuse the older name; other servers know no other.
            "max_completion_tokens" if is_openais(self.settings.endpoint) else "max_tokens": sampling.max_new_tokens,
            "seed": request_seed(sampling.seed, request.id),
        }
        for name, value in (("temperature", sampling.temperature), ("top_p", sampling.top_p)):
            # OpenAI's reasoning models refuse the key itself. Where it is missing, vLLM takes the model's own default.
            if value != 1 or not is_openais(self.settings.endpoint):
                body[name] = value
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        continued = request.conversation[-1]["role"] == "assistant"
        if self.settings.continues_turns:
            body["extra_body"] = {
                "repetition_penalty": sampling.repetition_penalty,
                "top_k": sampling.top_k,
                # A server knows the end tokens of the model's files, not those that its chat template adds.
                "stop_token_ids": self._end_ids,
                "add_generation_prompt": not continued,
                "continue_final_message": continued,
            }
        elif continued or sampling.repetition_penalty != 1:
            what = "a begun turn" if continued else "a repetition penalty"
            raise LidrError(f"{what} is nothing that every server takes (takes: vllm, if this one does)")
        return body


def _completion(request_id: str, body: ServerCompletion) -> Completion:
    choice = body.choices[0]
    message = choice.message
    reason = _REASONS.get(str(choice.finish_reason))
    if reason is None:
        raise LidrError(f"the server ended the request {request_id!r} with {choice.finish_reason!r}")
    thought = message.reasoning_content or message.reasoning or ""
    if reason is FinishReason.REFUSED or (message.content is None and not thought):
        return refused(request_id, body.usage.prompt_tokens)
    text = message.content or ""
    if found := reasoning.split(text):
        thought, text = found
    return Completion(
        id=request_id,
        text=text.lstrip("\n") if thought else text,
        reasoning=thought,
        finish_reason=reason,
        prompt_tokens=body.usage.prompt_tokens,
        completion_tokens=body.usage.completion_tokens,
    )
