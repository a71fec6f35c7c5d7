"""Any OpenAI-compatible endpoint as a judge: one token out, its five likeliest candidates with log-probabilities.

    judge: {name: openai, model: gpt-4-1106-preview, endpoint: "https://api.openai.com/v1", concurrency: 8, ...}

The key comes from the environment: OPENAI_API_KEY for api.openai.com, LIDR_JUDGE_KEY for every other address, so that
OpenAI's key never goes elsewhere. Requests that fail for a reason that may pass (429, 5xx, no answer in time, a body
that cannot be read) are sent again; all others end the run. Whatever was answered until then is in the journal.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event, Lock
from typing import Any
from urllib.parse import urlsplit

import msgspec

from lidr import config
from lidr.errors import LidrError
from lidr.evals.judges.base import PATIENCE, Reply, TokenJudge, check_speaks
from lidr.evals.judges.journal import Journal, missing, open_journal, replies
from lidr.progress import bar
from lidr.wording import Conversation

TOP = 5
# Seconds to wait before the second try; each further wait is twice as long, up to the longest.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
# An endpoint that asks for more patience than this (Retry-After) ends the run.
LONGEST_ASKED = 600.0
# Bytes: an answer of one token is some hundreds, and an endpoint may send what it likes.
LARGEST_BODY = 1_000_000


class Token(msgspec.Struct):
    """A candidate for the answer's only token."""

    token: str
    logprob: float


class Position(msgspec.Struct):
    top_logprobs: list[Token]


class LogProbabilities(msgspec.Struct):
    content: list[Position]


class Choice(msgspec.Struct):
    logprobs: LogProbabilities


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int


class Body(msgspec.Struct):
    """What is read of a chat completion."""

    choices: list[Choice]
    usage: Usage | None = None


class Passing(Exception):
    """A failure that may not happen again; `wait` is what the endpoint asks for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(reason)


def openai_judge(judge: config.Judge, both_orders: bool) -> TokenJudge:
    """The judge behind the endpoint that params.yaml names."""
    journal = open_journal("openai", judge.model, judge.endpoint)
    return TokenJudge(OpenAIPanel(judge, journal), both_orders)


def read_key(endpoint: str) -> str:
    """The key for this address, from the environment; an address that is not OpenAI's may need none."""
    if urlsplit(endpoint).hostname == "api.openai.com":
        key = os.environ.get("OPENAI_API_KEY", "")
        if not key:
            raise LidrError("OPENAI_API_KEY is not set in the environment; the judge's endpoint expects a key there")
        return key
    return os.environ.get("LIDR_JUDGE_KEY") or "none"


class Budget:
    """How many requests and tokens a run may still spend."""

    def __init__(self, requests: int | None, tokens: int | None) -> None:
        self.most_requests, self.most_tokens = requests, tokens
        self.requests = self.tokens = 0
        self._lock = Lock()

    def take_request(self) -> None:
        """Count a request that is about to be sent; raises LidrError where there is nothing left for it."""
        with self._lock:
            for spent, most, what in (
                (self.requests, self.most_requests, "requests"),
                (self.tokens, self.most_tokens, "tokens"),
            ):
                if most is not None and spent >= most:
                    raise LidrError(f"the budget of {most:,} {what} (alpaca.judge.max_{what}) is spent")
            self.requests += 1

    def take_tokens(self, usage: Usage | None) -> None:
        """Count an answer's tokens; raises LidrError where they are limited and unknown."""
        if usage is None and self.most_tokens is not None:
            raise LidrError("the endpoint tells no token counts; alpaca.judge.max_tokens cannot be kept")
        with self._lock:
            self.tokens += usage.prompt_tokens + usage.completion_tokens if usage else 0


class OpenAIPanel:
    """See `lidr.evals.judges.base.Panel`."""

    def __init__(self, judge: config.Judge, journal: Journal) -> None:
        assert judge.model and judge.endpoint and judge.concurrency and judge.timeout_seconds
        self.name = f"{judge.model} at {judge.endpoint}"
        self.model, self.endpoint, self.timeout = judge.model, judge.endpoint, judge.timeout_seconds
        self.concurrency, self.retries = judge.concurrency, judge.retries or 0
        self.budget = Budget(judge.max_requests, judge.max_tokens)
        self.journal = journal
        self._key = read_key(judge.endpoint)

    def ask(self, questions: Sequence[Conversation]) -> list[Reply]:
        """Ask what the journal does not have, several at a time."""
        waiting = missing(self.journal, questions)
        if waiting:
            try:
                self._ask_all(waiting)
            except LidrError as error:
                kept = len(set(map(msgspec.json.encode, questions))) - len(missing(self.journal, questions))
                place = f"{kept:,} verdicts of these are kept in {self.journal.path}"
                raise LidrError(f"{error}; {place}, and the same command goes on from there") from None
        return replies(self.journal, questions)

    def _ask_all(self, waiting: dict[str, Conversation]) -> None:
        client, stop, seen = self._client(), Event(), list[Reply]()
        with (
            bar(f"verdicts of {self.model}", total=len(waiting), unit="verdict") as advance,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            asked = [pool.submit(self._ask_one, client, key, turns, stop) for key, turns in waiting.items()]
            try:
                for done in as_completed(asked):
                    seen.append(done.result())
                    advance(1)
                    if len(seen) == PATIENCE:
                        check_speaks(self.name, seen)
            except BaseException:
                # What is under way is awaited and kept; nothing new begins.
                stop.set()
                for future in asked:
                    future.cancel()
                raise

    def _ask_one(self, client: Any, key: str, turns: Conversation, stop: Event) -> Reply:
        for attempt in range(self.retries + 1):
            if stop.is_set():
                break
            try:
                body = self._request(client, turns)
            except Passing as failure:
                if attempt == self.retries:
                    raise LidrError(f"the judge {self.name} failed {attempt + 1} times: {failure}") from None
                stop.wait(_wait(attempt, failure.wait))
                continue
            reply = _reply(key, body)
            self.journal.add(reply)
            self.budget.take_tokens(body.usage)
            return reply
        raise LidrError("stopped")

    def _request(self, client: Any, turns: Conversation) -> Body:
        """One request; raises Passing where another try is worth it and LidrError where none is."""
        import httpx2
        import openai

        self.budget.take_request()
        until = time.monotonic() + self.timeout
        try:
            with client.chat.completions.with_streaming_response.create(
                model=self.model,
                messages=turns,
                max_tokens=1,
                temperature=1,
                top_p=1.0,
                logprobs=True,
                top_logprobs=TOP,
            ) as response:
                return _read_body(self._receive(response.iter_bytes(), until))
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
        """What an HTTP status that is no success means for the run."""
        message = self._safe(f"status {error.status_code}: {error.message}")
        is_passing = error.status_code in (408, 409, 429) or error.status_code >= 500
        if not is_passing or getattr(error, "code", None) == "insufficient_quota":
            return LidrError(f"the judge {self.name} refuses: {message}")
        wait = _asked_wait(error.response.headers.get("retry-after"))
        if wait is not None and wait > LONGEST_ASKED:
            return LidrError(f"the judge {self.name} asks to wait {wait:,.0f} s: {message}")
        return Passing(message, wait)

    def _client(self) -> Any:
        import openai

        # Retries are ours alone: each request counts in the budget.
        return openai.OpenAI(api_key=self._key, base_url=self.endpoint, timeout=self.timeout, max_retries=0)

    def _safe(self, message: str) -> str:
        """The message in one short line, without the key, should the endpoint have repeated it."""
        hidden = message.replace(self._key, "***") if self._key != "none" else message
        return " ".join(hidden.split())[:300]


def _read_body(text: bytes) -> Body:
    try:
        body = msgspec.json.decode(text, type=Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Passing(f"not a chat completion with log-probabilities: {error}") from None
    if not body.choices or not body.choices[0].logprobs.content:
        raise Passing("not a chat completion with log-probabilities: it holds no token")
    return body


def _reply(key: str, body: Body) -> Reply:
    likely = {token.token: token.logprob for token in body.choices[0].logprobs.content[0].top_logprobs}
    usage = body.usage or Usage(0, 0)
    return Reply(
        key=key,
        lower=likely.get("m"),
        upper=likely.get("M"),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def _wait(attempt: int, asked: float | None, draw: Callable[[], float] = random.random) -> float:
    """Seconds before the next try: what was asked for, or twice as long each time, with a random share."""
    if asked is not None:
        return asked
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt) * (0.5 + draw() / 2)


def _asked_wait(header: str | None) -> float | None:
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
