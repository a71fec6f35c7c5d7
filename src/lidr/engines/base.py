"""The contract of all engines: conversations and sampling in, one completion per request out, in order.

    with closing(open_engine(settings.engine, policy.resolve("m1"))) as engine:
        engine.generate([Request("lab-17:es", prompt_conversation("¿Qué número ...?"))], Sampling(64), progress)

    [Completion(id="lab-17:es", text="El número mayor es 61 ...", finish_reason="stop", prompt_tokens=14, ...)]

What every engine keeps (docs/engines.md says where they differ; tests/engines/test_contract.py runs over all):
- a conversation whose last message is the assistant's is continued, not answered,
  where the engine can (`config.Engine.continues_turns`);
- `lidr.chat` renders prompts and reads answers, with the arguments and date of models/m0;
- the text is the generated answer, without special tokens, reasoning and the message that was continued;
- a stop string ends the text and is not part of it;
- a prompt that does not fit the context together with `max_new_tokens` is refused, with empty text; the rest goes on;
- so is a request that alone does not fit the device's memory, where the engine can tell (`FinishReason.OUT_OF_MEMORY`);
- greedy output in float32 depends on the request alone, not on its neighbours;
- an answer's log-probability is that of all its tokens, the end of the turn included, where an engine can tell it
  (`config.Engine.gives_log_probabilities`); None stands for one that does not fit the context or the device's memory;
- models load lazily, and `close` frees processes and memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from lidr import config
from lidr.chat import Chat
from lidr.models.policy import Policy
from lidr.records import FinishReason, Prompt, Record, Response
from lidr.records.prompt_templates import Conversation


@dataclass(frozen=True)
class Sampling:
    """How to decode: greedy where the temperature is 0. `top_k` 0 means all tokens, in every engine."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """A conversation to answer or to continue, with the caller's id."""

    id: str
    conversation: Conversation


class TokenIds(NamedTuple):
    """Token ids of a prompt, and of an answer with the end of its turn."""

    prompt: list[int]
    answer: list[int]

    @property
    def length(self) -> int:
        """Tokens of both."""
        return len(self.prompt) + len(self.answer)


class Completion(Record, frozen=True, kw_only=True):
    """The result of the request with the same id; `text` is the answer alone, without the reasoning before it."""

    id: str
    text: str
    reasoning: str = ""
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int


Progress = Callable[[int], None]


class Engine(Protocol):
    """Something that completes conversations with one model.

    `fingerprint` identifies all that determines the output: the model's files, the engine, its precision.
    """

    fingerprint: str

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        """Complete all requests, in their order; `progress` gets the number of newly finished ones."""
        ...

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        """Log-probability (natural) of each choice, a short text, as the beginning of the next turn."""
        ...

    def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
        """Log-probability (natural) of each answer after its prompt, summed over the answer's tokens."""
        ...

    def close(self) -> None:
        """Unload the model and free the device's memory; the next call loads it again."""
        ...


def fingerprint_of(policy: Policy, *words: str) -> str:
    """The model's fingerprint together with the words that name an engine and how it computes."""
    return hashlib.sha256("\n".join([policy.fingerprint, *words]).encode()).hexdigest()


def request_seed(seed: int, request_id: str) -> int:
    """A seed for each request, so that a sample does not depend on its batch."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{request_id}".encode()).digest()[:4], "big") >> 1


def refused(request_id: str, prompt_tokens: int, reason: FinishReason = FinishReason.REFUSED) -> Completion:
    """The completion of a refused prompt; 0 prompt tokens where they were not counted."""
    return Completion(id=request_id, text="", finish_reason=reason, prompt_tokens=prompt_tokens, completion_tokens=0)


def stop_at(text: str, stop: Sequence[str]) -> int | None:
    """The position of the first stop string in a text, or None; it may begin and end inside tokens."""
    return min((text.index(one) for one in stop if one in text), default=None)


def ignore(count: int) -> None:
    """Progress that is not shown."""


def choice_rows(chat: Chat, conversations: Sequence[Conversation], choices: Sequence[str]) -> Iterator[list[TokenIds]]:
    """For each conversation the rows of its choices, each as the beginning of the next turn."""
    endings = [chat.continuation_ids(choice) for choice in choices]
    for conversation in conversations:
        prompt = chat.prompt_ids(conversation)
        yield [TokenIds(prompt, ending) for ending in endings]


def response_of(prompt: Prompt, completion: Completion, sample: int = 0) -> Response:
    """The completion as a response to the prompt, one of several samples or the only one."""
    fields = msgspec.structs.asdict(completion) | {"id": prompt.id, "lang": prompt.lang, "sample": sample}
    return Response(**fields)


def open_engine(settings: config.Engine, policy: Policy) -> Engine:
    """The engine that the settings name; its model is loaded when it is first used."""
    engine: Engine = settings.open(policy)
    return engine
