"""An OpenAI-compatible server's chat completions, asked with patience: one piece for the engine and for the judge.

    >>> server = Endpoint("the engine's server", "m1", "http://127.0.0.1:8000/v1", key, retries=5, timeout=600.0)
    >>> server.complete({"messages": turns, "max_tokens": 64}, read_body, Event())

A request that fails for a reason that may pass (429, 5xx, no answer in time, a body that cannot be read) is sent again
after a wait; any other failure is a `Rejected`. Keys come from the environment only, and no message holds one.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from threading import Event
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lidr.errors import LidrError

# Seconds to wait before the second try; each further wait is twice as long, up to the longest.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
# A server that asks for more patience than this (Retry-After) ends the run.
LONGEST_ASKED = 600.0
# Bytes: a completion is some thousands, and a server may send what it likes.
LARGEST_BODY = 1_000_000

# Sent where the environment holds no key: a server that needs none takes any.
NO_KEY = "none"

Body = TypeVar("Body")
Task = TypeVar("Task")
Result = TypeVar("Result")


class Passing(Exception):
    """A failure that may not happen again; `wait` is what the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(reason)


class Rejected(LidrError):
    """A request that the server will never take; `said` is the server's own message."""

    def __init__(self, message: str, status: int, said: str) -> None:
        self.status, self.said = status, said
        super().__init__(message)


class Endpoint:
    """One model at one address. `who` names it in messages; threads may share it."""

    def __init__(self, who: str, model: str, address: str, key: str, retries: int, timeout: float) -> None:
        self.who, self.model, self.address = who, model, address
        self.retries, self.timeout = retries, timeout
        self._key = key

    def complete(
        self,
        request: dict[str, Any],
        read: Callable[[bytes], Body],
        stop: Event,
        before_each: Callable[[], None] = lambda: None,
    ) -> Body:
        """Send a chat completion until `read` can make something of the answer.

        `before_each` is called before every try, and whatever it raises ends the request, as does `stop` once it is
        set. `read` raises Passing for a body that is not what it should be. Raises LidrError after the last try.
        """
        for attempt in range(self.retries + 1):
            if stop.is_set():
                break
            before_each()
            try:
                return read(self._send(request))
            except Passing as failure:
                if attempt == self.retries:
                    raise LidrError(f"{self.who} failed {attempt + 1} times: {failure}") from None
                stop.wait(next_wait(attempt, failure.wait))
        raise LidrError("stopped")

    def _send(self, request: dict[str, Any]) -> bytes:
        import httpx2
        import openai

        until = time.monotonic() + self.timeout
        asked = self._client.chat.completions.with_streaming_response
        try:
            with asked.create(model=self.model, **request) as response:
                return self._receive(response.iter_bytes(), until)
        except (openai.APITimeoutError, httpx2.TimeoutException):
            raise self._late() from None
        except httpx2.HTTPError as error:
            raise Passing(self._safe(f"the answer broke off: {error}")) from None
        except openai.APIConnectionError as error:
            raise Passing(self._safe(f"no connection: {error.__cause__ or error}")) from None
        except openai.APIStatusError as error:
            raise self._status(error) from None

    def _receive(self, chunks: Iterable[bytes], until: float) -> bytes:
        """The whole body; the client's own time limit is for each piece of it, and would never end a slow drip."""
        body = b""
        for chunk in chunks:
            body += chunk
            if time.monotonic() > until:
                raise self._late()
            if len(body) > LARGEST_BODY:
                raise Passing(f"not a chat completion: more than {LARGEST_BODY:,} bytes")
        return body

    def _late(self) -> Passing:
        return Passing(f"no answer within {self.timeout:g} s")

    def _status(self, error: Any) -> Exception:
        """What an HTTP status that is no success means for the request."""
        message = self._safe(f"status {error.status_code}: {error.message}")
        is_passing = error.status_code in (408, 409, 429) or error.status_code >= 500
        if not is_passing or getattr(error, "code", None) == "insufficient_quota":
            return Rejected(f"{self.who} refuses: {message}", error.status_code, message)
        wait = asked_wait(error.response.headers.get("retry-after"))
        if wait is not None and wait > LONGEST_ASKED:
            return LidrError(f"{self.who} asks to wait {wait:,.0f} s: {message}")
        return Passing(message, wait)

    @cached_property
    def _client(self) -> Any:
        import openai

        # Retries are ours alone: each request is seen by `before_each`.
        return openai.OpenAI(api_key=self._key, base_url=self.address, timeout=self.timeout, max_retries=0)

    def _safe(self, message: str) -> str:
        """The message in one short line, without the key, should the server have repeated it."""
        hidden = message.replace(self._key, "***") if self._key != NO_KEY else message
        return " ".join(hidden.split())[:300]


def read_key(address: str, variable: str) -> str:
    """The key for this address, from the environment: OPENAI_API_KEY for api.openai.com, `variable` for all others.

    OpenAI's key never goes elsewhere. Another server may need none; api.openai.com without one is a LidrError.
    """
    if urlsplit(address).hostname != "api.openai.com":
        return os.environ.get(variable) or NO_KEY
    key = os.environ.get("OPENAI_API_KEY", "")
    if not key:
        raise LidrError("OPENAI_API_KEY is not set in the environment; api.openai.com expects a key")
    return key


def in_parallel(
    tasks: Sequence[Task],
    work: Callable[[Task, Event], Result],
    done: Callable[[int, Result], None],
    concurrency: int,
) -> None:
    """Work on all tasks, so many at a time; `done` gets each index and result, in this thread, as they come.

    The first error ends it and is raised: what is under way is awaited, nothing new begins, and `work` can see by its
    event that it is to stop.
    """
    stop = Event()
    with ThreadPoolExecutor(concurrency) as pool:
        index = {pool.submit(work, task, stop): number for number, task in enumerate(tasks)}
        try:
            for future in as_completed(index):
                done(index[future], future.result())
        except BaseException:
            stop.set()
            for future in index:
                future.cancel()
            raise


def next_wait(attempt: int, asked: float | None, draw: Callable[[], float] = random.random) -> float:
    """Seconds before the next try: what was asked for, or twice as long each time, with a random share."""
    if asked is not None:
        return asked
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt) * (0.5 + draw() / 2)


def asked_wait(header: str | None) -> float | None:
    """Retry-After in seconds: a number, or a date."""
    from email.utils import parsedate_to_datetime

    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
