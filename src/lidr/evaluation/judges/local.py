"""A local model as a judge: an engine gives the log-probabilities of `m` and `M` as the first token of its answer.

    judge: {name: local, model: data/sources/judge, ...}

The question is one user turn, since some chat templates have no system turn. A question that does not fit the judge's
context or the device's memory has no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lidr import config, paths
from lidr.engines.base import Engine, open_engine
from lidr.errors import LidrError
from lidr.evaluation.judges.base import LanguageModelJudge, Reply
from lidr.evaluation.judges.cache import JudgmentCache, key_of, open_cache
from lidr.models import policy
from lidr.progress import bar
from lidr.records.prompt_templates import Conversation

LABELS = ("m", "M")
QUESTIONS_AT_ONCE = 32


def local_judge(judge: config.LocalJudge, engine: config.Engine, both_orders: bool, block: str) -> LocalModelJudge:
    """The judge whose model folder params.yaml names."""
    folder = Path(judge.model)
    # The base is loaded as everywhere else, quantised if it is.
    is_base = folder == paths.model(paths.BASE)
    model = policy.resolve(paths.BASE) if is_base else policy.of_folder(folder, f"{block}.model")
    cache = open_cache("local", model.fingerprint, engine.precision)
    return LocalModelJudge(str(folder), open_engine(engine, model), cache, both_orders)


class LocalModelJudge(LanguageModelJudge):
    """A judge by an engine's log-probabilities of the two labels."""

    def __init__(self, name: str, engine: Engine, cache: JudgmentCache, both_orders: bool) -> None:
        super().__init__(name, both_orders)
        self.engine, self.cache = engine, cache

    def ask(self, questions: Sequence[Conversation]) -> list[Reply]:
        """The replies from the cache; the others are computed first."""
        turns = [in_one_turn(question) for question in questions]
        waiting = list(self.cache.missing(turns).values())
        with bar(f"verdicts of {self.name}", total=len(waiting), unit="verdict") as advance:
            for start in range(0, len(waiting), QUESTIONS_AT_ONCE):
                part = waiting[start : start + QUESTIONS_AT_ONCE]
                for turn, (lower, upper) in zip(part, self.engine.score(part, LABELS), strict=True):
                    self.cache.add(_reply(turn, lower, upper))
                advance(len(part))
        found = self.cache.replies(turns)
        if found and all(reply.lower is not None and reply.lower == reply.upper for reply in found):
            raise LidrError(
                f"the judge {self.name} gives 'm' and 'M' the same probability in all {len(found)} answers: its "
                "tokenizer does not tell them apart; another model is expected"
            )
        return found


def in_one_turn(question: Conversation) -> Conversation:
    """The question's turns as one user turn."""
    return [{"role": "user", "content": "\n\n".join(turn["content"] for turn in question)}]


def _reply(turn: Conversation, lower: float | None, upper: float | None) -> Reply:
    finite = [value if value is not None and math.isfinite(value) else None for value in (lower, upper)]
    return Reply(key=key_of(turn), lower=finite[0], upper=finite[1], prompt_tokens=0, completion_tokens=0)
