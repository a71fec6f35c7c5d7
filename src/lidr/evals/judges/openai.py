"""Any OpenAI-compatible endpoint as a judge: one token out, its five likeliest candidates with log-probabilities.

    judge: {name: openai, model: gpt-4-1106-preview, endpoint: "https://api.openai.com/v1", concurrency: 8, ...}

The key comes from the environment: OPENAI_API_KEY for api.openai.com, LIDR_JUDGE_KEY for every other address, so that
OpenAI's key never goes elsewhere. Requests that fail for a reason that may pass are sent again (see
`lidr.engines.endpoint`); all others end the run. Whatever was answered until then is in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event, Lock

import msgspec

from lidr import config
from lidr.engines.endpoint import Endpoint, Passing, in_parallel, read_key
from lidr.errors import LidrError
from lidr.evals.judges.base import PATIENCE, Reply, TokenJudge, check_speaks
from lidr.evals.judges.journal import Journal, missing, open_journal, replies
from lidr.progress import bar
from lidr.wording import Conversation

TOP = 5
KEY_VARIABLE = "LIDR_JUDGE_KEY"


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


def openai_judge(judge: config.Judge, both_orders: bool) -> TokenJudge:
    """The judge behind the endpoint that params.yaml names."""
    journal = open_journal("openai", judge.model, judge.endpoint)
    return TokenJudge(OpenAIPanel(judge, journal), both_orders)


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
        self.concurrency = judge.concurrency
        self.budget = Budget(judge.max_requests, judge.max_tokens)
        self.journal = journal
        key = read_key(judge.endpoint, KEY_VARIABLE)
        who, retries = f"the judge {self.name}", judge.retries or 0
        self.server = Endpoint(who, judge.model, judge.endpoint, key, retries, judge.timeout_seconds)

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
        seen: list[Reply] = []
        with bar(f"verdicts of {self.server.model}", total=len(waiting), unit="verdict") as advance:

            def take(index: int, reply: Reply) -> None:
                seen.append(reply)
                advance(1)
                if len(seen) == PATIENCE:
                    check_speaks(self.name, seen)

            in_parallel(list(waiting.items()), self._ask_one, take, self.concurrency)

    def _ask_one(self, asked: tuple[str, Conversation], stop: Event) -> Reply:
        key, turns = asked
        request = {
            "messages": turns,
            "max_tokens": 1,
            "temperature": 1,
            "top_p": 1.0,
            "logprobs": True,
            "top_logprobs": TOP,
        }
        body = self.server.complete(request, _read_body, stop, self.budget.take_request)
        reply = _reply(key, body)
        self.journal.add(reply)
        self.budget.take_tokens(body.usage)
        return reply


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
