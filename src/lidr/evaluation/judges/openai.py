"""Any OpenAI-compatible endpoint as a judge; it replies with the log-probabilities of one token, or in text.

    judge: {name: openai, model: gpt-4-1106-preview, endpoint: "https://api.openai.com/v1"}
    judge: {name: openai, model: a-reasoning-model, endpoint: ..., reply: text, reasoning_effort: low}

The key comes from the environment: OPENAI_API_KEY for api.openai.com, LIDR_JUDGE_KEY for every other address, so that
OpenAI's key never goes elsewhere. The openai client retries transient failures; all others end the run. Replies up to
then are in the judgment cache.

The first question is asked alone: a wrong model, name or kind of reply then costs one request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from threading import Lock
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from lidr import config
from lidr.chat import reasoning
from lidr.engines.endpoint import Endpoint, Rejected, Unreadable, Usage, in_parallel, read_key
from lidr.engines.openai import Choice as Written
from lidr.errors import LidrError
from lidr.evaluation.judges.base import PATIENCE, LanguageModelJudge, Reply, check_gives_labels
from lidr.evaluation.judges.cache import open_cache
from lidr.progress import bar
from lidr.records.prompt_templates import Conversation

TOP = 5
# The last line of a reply in text: a label, with the markup that chat models may add.
_LABEL = re.compile(r"[*_`\"'\[(\s]*([mM])[*_`\"'\])\s]*[.]?[*_`\"'\])\s]*")


class Token(msgspec.Struct):
    """A candidate for the answer's token."""

    token: str
    logprob: float


class Position(msgspec.Struct):
    top_logprobs: list[Token]


class LogProbabilities(msgspec.Struct):
    content: Annotated[list[Position], Meta(min_length=1)]


class Weighed(msgspec.Struct):
    """A choice with its tokens' log-probabilities."""

    logprobs: LogProbabilities


Choice = TypeVar("Choice", Weighed, Written)


class Body(msgspec.Struct, Generic[Choice]):
    """The fields of a chat completion that are read."""

    choices: Annotated[list[Choice], Meta(min_length=1)]
    usage: Usage | None = None


class RequestBudget:
    """The requests and tokens that a run may still use, by the limits in params.yaml."""

    def __init__(self, judge: config.OpenAIJudge, block: str) -> None:
        self.block = block
        self.most = {"requests": judge.max_requests, "tokens": judge.max_tokens}
        self.spent = {"requests": 0, "tokens": 0}
        self._lock = Lock()

    def take_request(self) -> None:
        """Count a request before it is sent; raises LidrError if the budget is used up."""
        with self._lock:
            for what, most in self.most.items():
                if most is not None and self.spent[what] >= most:
                    raise LidrError(f"the budget of {most:,} {what} ({self.block}.max_{what}) is spent")
            self.spent["requests"] += 1

    def take_tokens(self, usage: Usage | None) -> None:
        """Count a reply's tokens; raises LidrError if they are limited but unknown."""
        if usage is None and self.most["tokens"] is not None:
            raise LidrError(f"the endpoint tells no token counts; {self.block}.max_tokens cannot be kept")
        with self._lock:
            self.spent["tokens"] += usage.prompt_tokens + usage.completion_tokens if usage else 0


class EndpointJudge(LanguageModelJudge):
    """The judge at an endpoint of params.yaml."""

    def __init__(self, judge: config.OpenAIJudge, both_orders: bool, block: str = "alpaca.judge") -> None:
        super().__init__(f"{judge.model} at {judge.endpoint}", both_orders, judge.reply)
        self.judge, self.block = judge, block
        self.budget = RequestBudget(judge, block)
        asked = [judge.reasoning_effort, str(judge.max_completion_tokens)] if judge.reply == "text" else []
        self.cache = open_cache("openai", judge.model, judge.endpoint, *asked, reply=judge.reply)
        # Newer models refuse `max_tokens`.
        self.limit = "max_tokens" if judge.reply == "logprobs" else "max_completion_tokens"
        key = read_key(judge.endpoint, judge.key_variable)
        who = f"the judge {self.name}"
        self.server = Endpoint(
            who, judge.model, judge.endpoint, key, judge.retries, judge.timeout_seconds, self.budget.take_request
        )

    def ask(self, questions: Sequence[Conversation]) -> list[Reply]:
        """The replies from the cache; the others are requested first, several at a time."""
        waiting = list(self.cache.missing(questions).items())
        try:
            if waiting:
                self._ask_all(waiting)
        except LidrError as error:
            kept = len(set(map(msgspec.json.encode, questions))) - len(self.cache.missing(questions))
            place = f"{kept:,} verdicts of these are kept in {self.cache.path}"
            raise LidrError(f"{error}; {place}, and the same command goes on from there") from None
        return self.cache.replies(questions)

    def _ask_all(self, waiting: list[tuple[str, Conversation]]) -> None:
        seen: list[Reply] = []
        with bar(f"verdicts of {self.server.model}", total=len(waiting), unit="verdict") as advance:

            def take(index: int, reply: Reply) -> None:
                seen.append(reply)
                advance(1)
                if len(seen) == PATIENCE:
                    check_gives_labels(self.name, seen)

            take(0, self._ask_first(waiting[0]))
            in_parallel(waiting[1:], self._ask_one, take, self.judge.concurrency)

    def _ask_first(self, asked: tuple[str, Conversation]) -> Reply:
        """Ask one question alone; the error says what to change if the model does not support such requests."""
        try:
            return self._ask_one(asked)
        except Rejected as error:
            if error.status == 400 and "max_completion_tokens" in error.said and self.limit == "max_tokens":
                self.limit = "max_completion_tokens"
                return self._ask_first(asked)
            raise LidrError(f"{error}{self._advice(error)}") from None
        except Unreadable as error:
            advice = f" (log-probabilities are expected; {self.block}.reply: text needs none)"
            raise LidrError(f"{error}{advice if self.reply == 'logprobs' else ''}") from None

    def _advice(self, error: Rejected) -> str:
        if error.status == 404:
            return f" (no such model there, or it is retired: name another one in {self.block}.model)"
        if error.status == 400 and "logprobs" in error.said:
            return f" (it gives no log-probabilities: set {self.block}.reply to text)"
        return ""

    def _ask_one(self, asked: tuple[str, Conversation]) -> Reply:
        key, turns = asked
        kind, read = (Body[Weighed], _weighed) if self.reply == "logprobs" else (Body[Written], _label)
        body: Body[Any] = self.server.complete(self._request(turns), kind)
        usage = body.usage or Usage(0, 0)
        reply = Reply(
            key=key,
            **read(body.choices[0]),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )
        self.cache.add(reply)
        self.budget.take_tokens(body.usage)
        return reply

    def _request(self, turns: Conversation) -> dict[str, Any]:
        """The request: AlpacaEval 2's for one token, or one for a text with the model's default sampling."""
        if self.reply == "logprobs":
            likely = {"logprobs": True, "top_logprobs": TOP}
            return {"messages": turns, self.limit: 1, "temperature": 1, "top_p": 1.0, **likely}
        effort = self.judge.reasoning_effort
        return {
            "messages": turns,
            self.limit: self.judge.max_completion_tokens,
            **({} if effort is None else {"reasoning_effort": effort}),
        }


def _weighed(choice: Weighed) -> dict[str, Any]:
    found = {token.token: token.logprob for token in choice.logprobs.content[0].top_logprobs}
    return {"lower": found.get("m"), "upper": found.get("M")}


def _label(choice: Written) -> dict[str, Any]:
    """The label on the last line of a reply in text, or the fault."""
    written = choice.message.content or ""
    thought = reasoning.split(written)
    text = (thought[1] if thought else written).strip()
    found = _LABEL.fullmatch(text.rpartition("\n")[2])
    fault = "cut_off" if choice.finish_reason == "length" else "empty" if not text else "" if found else "no_label"
    label = found[1] if found and not fault else None
    sure = {name: 0.0 if label == letter else None for name, letter in (("lower", "m"), ("upper", "M"))}
    return {**sure, "text": text, "fault": fault}
