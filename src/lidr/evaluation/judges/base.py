"""The contract of all judges, and what those have in common that are language models.

    >>> opinion(Reply(key="8c1f...", lower=-0.105, upper=-2.303, prompt_tokens=391, completion_tokens=1), swapped=False)
    1.1

A preference lies in [1, 2] as in AlpacaEval 2: 2 where the model beats the baseline, 1 where it loses. The judge sees
one answer labelled `m` and the other labelled `M`; the baseline's comes first unless the two are swapped, which the
instruction alone decides. With p(m) = e^l(m) / (e^l(m) + e^l(M)) the preference is 2 - p(m); swapped, 3 minus that.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lidr.errors import LidrError
from lidr.evaluation.judges import prompt
from lidr.records import TIE, Prompt, Record
from lidr.records.prompt_templates import Conversation

# A judge that has not given a verdict after so many answers is not asked for the rest.
PATIENCE = 20
# Why a reply in text holds no verdict.
FAULTS = ("empty", "cut_off", "no_label")


@dataclass(frozen=True)
class Contest:
    """One instruction and the two answers to it."""

    instruction: Prompt
    completion: str
    baseline: str


@dataclass(frozen=True)
class Opinion:
    """What a judge thinks of one contest; `preference` is None where there is no verdict.

    `orders` holds the preference of each order, the drawn one first, where both were asked: the preference is then
    their mean, and None if one of them is. `swapped` tells whether the model's answer came first in the drawn order.
    `faults` are those of the replies that hold no verdict.
    """

    preference: float | None
    orders: tuple[float | None, ...] = ()
    swapped: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    faults: tuple[str, ...] = ()


class Judge(Protocol):
    """Something that compares answers."""

    def opinions(self, contests: Sequence[Contest]) -> list[Opinion]:
        """An opinion of each contest, in order; no two answers of a contest are the same text."""
        ...


def judge_all(judge: Judge, contests: Sequence[Contest]) -> list[Opinion]:
    """The judge's opinions; answers that are the same text are a tie and are not put before it."""
    asked = [contest for contest in contests if contest.completion != contest.baseline]
    found = iter(judge.opinions(asked) if asked else [])
    return [next(found) if contest.completion != contest.baseline else Opinion(TIE) for contest in contests]


# --- judges that are language models -------------------------------------------------------------------------------


class Reply(Record, frozen=True):
    """Log-probabilities of `m` and `M` as the answer to one question; None for a token that is not among the likely.

    A reply in text gives its label the log-probability 0 and the other one None. `fault` says why it has no label:
    it is `empty`, `cut_off` at the token limit, or its last line is no label (`no_label`). `text` is kept for the eye.
    """

    key: str
    lower: float | None
    upper: float | None
    prompt_tokens: int
    completion_tokens: int
    text: str = ""
    fault: str = ""


class Panel(Protocol):
    """A model that can be asked for one of the two labels; `reply` is how it gives it (`prompt.REPLIES`)."""

    name: str
    reply: str

    def ask(self, questions: Sequence[Conversation]) -> list[Reply]:
        """A reply to each question, in order."""
        ...


class TokenJudge:
    """A judge that is a language model."""

    def __init__(self, panel: Panel, both_orders: bool) -> None:
        self.panel = panel
        self.both_orders = both_orders

    def opinions(self, contests: Sequence[Contest]) -> list[Opinion]:
        """Ask about all contests at once."""
        swaps = [is_swapped(contest.instruction.text) for contest in contests]
        asked = [question(contest, swap, self.panel.reply) for contest, swap in zip(contests, swaps, strict=True)]
        if self.both_orders:
            asked += [
                question(contest, not swap, self.panel.reply) for contest, swap in zip(contests, swaps, strict=True)
            ]
        replies = self.panel.ask(asked)
        check_speaks(self.panel.name, replies)
        drawn, turned = replies[: len(contests)], replies[len(contests) :]
        if not self.both_orders:
            return [_one_order(reply, swap) for reply, swap in zip(drawn, swaps, strict=True)]
        return [_two_orders(*row) for row in zip(drawn, turned, swaps, strict=True)]


def is_swapped(instruction: str) -> bool:
    """Whether the model's answer comes first: drawn as alpaca_eval draws it, the same for every model."""
    return random.Random(f"is_switched_outputs{instruction}0").choices([False, True])[0]


def question(contest: Contest, swapped: bool, reply: str = "logprobs") -> Conversation:
    """What the judge is asked; the first answer is labelled `m`."""
    answers = (contest.baseline, contest.completion)
    first, second = reversed(answers) if swapped else answers
    return prompt.conversation(contest.instruction.text, first, second, reply)


def opinion(reply: Reply, swapped: bool) -> float | None:
    """The preference that the two log-probabilities stand for."""
    if reply.lower is None and reply.upper is None:
        return None
    lower, upper = (-math.inf if value is None else value for value in (reply.lower, reply.upper))
    highest = max(lower, upper)
    first, second = math.exp(lower - highest), math.exp(upper - highest)
    preference = 2 - first / (first + second)
    return 3 - preference if swapped else preference


def is_flipped(orders: Sequence[float | None]) -> bool:
    """Whether the two orders name different winners."""
    judged = [preference for preference in orders if preference is not None]
    return any(p > TIE for p in judged) and any(p < TIE for p in judged)


def check_speaks(name: str, replies: Sequence[Reply]) -> None:
    """Raise LidrError where not one reply holds either token."""
    if replies and all(is_mute(reply) for reply in replies):
        raise LidrError(
            f"the judge {name} gives neither 'm' nor 'M', in {len(replies)} of {len(replies)} answers{_why(replies)}; "
            "a model that answers with the bare label is expected"
        )


def _why(replies: Sequence[Reply]) -> str:
    """What is wrong with replies in text, counted."""
    faults = Counter(reply.fault for reply in replies if reply.fault)
    return f" ({', '.join(f'{count} {fault}' for fault, count in faults.items())})" if faults else ""


def is_mute(reply: Reply) -> bool:
    return reply.lower is None and reply.upper is None


def _one_order(reply: Reply, swapped: bool) -> Opinion:
    return Opinion(
        preference=opinion(reply, swapped),
        swapped=swapped,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        faults=_faults(reply),
    )


def _two_orders(drawn: Reply, turned: Reply, swapped: bool) -> Opinion:
    first, second = opinion(drawn, swapped), opinion(turned, not swapped)
    return Opinion(
        preference=None if first is None or second is None else (first + second) / 2,
        orders=(first, second),
        swapped=swapped,
        prompt_tokens=drawn.prompt_tokens + turned.prompt_tokens,
        completion_tokens=drawn.completion_tokens + turned.completion_tokens,
        faults=_faults(drawn, turned),
    )


def _faults(*replies: Reply) -> tuple[str, ...]:
    return tuple(reply.fault for reply in replies if reply.fault)
