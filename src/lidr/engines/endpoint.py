"""An OpenAI-compatible server's chat completions, by the openai client, for the engine and the judge.

Retries, waits (Retry-After among them) and timeouts are the client's own. A completion that does not match `Body` is
requested again, as often. Keys come from the environment only, and never appear in messages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from lidr.errors import LidrError

# Sent if the environment has no key: a server that needs none takes any.
NO_KEY = "none"

Body = TypeVar("Body")
Task = TypeVar("Task")
Result = TypeVar("Result")


class Usage(msgspec.Struct):
    """The tokens of one completion, as the server counts them."""

    prompt_tokens: int
    completion_tokens: int


class Rejected(LidrError):
    """A request that the server rejects for good; `said` is the server's own message."""

    def __init__(self, message: str, status: int, said: str) -> None:
        self.status, self.said = status, said
        super().__init__(message)


class Unreadable(LidrError):
    """No valid completion after all retries."""


@dataclass
class Endpoint:
    """One model at one address. `who` names it in messages; threads may share it.

    `before_each` is called before every request, retries included; an error that it raises ends the work.
    """

    who: str
    model: str
    address: str
    key: str = field(repr=False)
    retries: int
    timeout: float
    before_each: Callable[[], None] = lambda: None

    def complete(self, request: dict[str, Any], kind: type[Body]) -> Body:
        """A chat completion of this kind; raises LidrError where the server does not give one."""
        wrong = ""
        for _ in range(self.retries + 1):
            try:
                return msgspec.json.decode(self._send(request), type=kind)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                wrong = str(error)
        raise Unreadable(self._safe(f"{self.who} failed {self.retries + 1} times: not a chat completion: {wrong}"))

    def _send(self, request: dict[str, Any]) -> bytes:
        import openai

        try:
            return self._client.chat.completions.with_raw_response.create(model=self.model, **request).content
        except openai.APITimeoutError:
            reason = f"no answer within {self.timeout:g} s"
        except openai.APIConnectionError as error:
            reason = f"no connection: {self._safe(str(error.__cause__ or error))}"
        except openai.APIStatusError as error:
            reason = self._safe(f"status {error.status_code}: {error.message}")
            if error.status_code < 500 and error.status_code not in (408, 409, 429):
                raise Rejected(f"{self.who} refuses: {reason}", error.status_code, reason) from None
            if wait := error.response.headers.get("retry-after"):
                reason += f" (Retry-After: {wait})"
        raise LidrError(f"{self.who} failed, tried up to {self.retries + 1} times: {reason}")

    @cached_property
    def _client(self) -> Any:
        import openai

        hooks = {"request": [lambda _: self.before_each()]}
        return openai.OpenAI(
            api_key=self.key,
            base_url=self.address,
            timeout=self.timeout,
            max_retries=self.retries,
            http_client=openai.DefaultHttpxClient(event_hooks=hooks),
        )

    def _safe(self, message: str) -> str:
        """The server's message in one short line, with the key removed."""
        hidden = message.replace(self.key, "***") if self.key != NO_KEY else message
        return " ".join(hidden.split())[:300]


def is_openais(address: str) -> bool:
    """Whether the address is OpenAI's own."""
    return urlsplit(address).hostname == "api.openai.com"


def read_key(address: str, variable: str) -> str:
    """The key for this address, from the environment: OPENAI_API_KEY for api.openai.com, `variable` for all others.

    OpenAI's key never goes elsewhere. Another server may need none; api.openai.com without one is a LidrError.
    """
    if not is_openais(address):
        return os.environ.get(variable) or NO_KEY
    key = os.environ.get("OPENAI_API_KEY", "")
    if not key:
        raise LidrError("OPENAI_API_KEY is not set in the environment; api.openai.com expects a key")
    return key


def in_parallel(
    tasks: Sequence[Task], work: Callable[[Task], Result], done: Callable[[int, Result], None], concurrency: int
) -> None:
    """Run all tasks, `concurrency` at a time; `done` gets each index and result, in this thread, as they finish.

    The first error is raised once the running tasks have ended.
    """
    with ThreadPoolExecutor(concurrency) as pool:
        index = {pool.submit(work, task): number for number, task in enumerate(tasks)}
        try:
            for future in as_completed(index):
                done(index[future], future.result())
        finally:
            pool.shutdown(cancel_futures=True)
