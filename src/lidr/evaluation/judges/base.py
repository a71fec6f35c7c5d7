"""The contract of all judges, and the base class of LLM judges.

    >>> opinion(Reply(key="8c1f...", lower=-0.105, upper=-2.303, prompt_tokens=391, completion_tokens=1), swapped=False)
    1.0999...

A preference lies in [1, 2] as in AlpacaEval 2: 2 if the model beats the baseline, 1 if it loses. The judge sees one
answer labelled `m` and the other labelled `M`. The baseline's comes first unless the two are swapped, which depends on
the instruction alone. With p(m) = e^l(m) / (e^l(m) + e^l(M)) the preference is 2 - p(m); swapped, 3 minus that.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Protocol

from lidr.errors import LidrError
from lidr.evaluation.judges import prompt
from lidr.records import TIE, Prompt, Record, Verdict
from lidr.records.prompt_templates import Conversation
from lidr.records.rounding import rounded

# A judge without a label in this many replies is not asked again.
PATIENCE = 20
# Reasons why a reply in text has no verdict.
FAULTS = ("empty", "cut_off", "no_label")


@dataclass(frozen=True)
class Pairwise:
    """A pairwise comparison: an instruction and two answers to it."""

    instruction: Prompt
    completion: str
    baseline: str


@dataclass(frozen=True)
class Opinion:
    """A judge's opinion of one comparison, as fields of `records.Verdict`.

    If both orders were asked, `preference` is their mean, or None if one of them is. `judge_faults` are those of the
    replies without a verdict.
    """

    preference: float | None
    orders: tuple[float | None, ...] = ()
    swapped: bool = False
    judge_prompt_tokens: int = 0
    judge_completion_tokens: int = 0
    judge_faults: tuple[str, ...] = ()


class Judge(Protocol):
    """Something that judges pairwise comparisons."""

    def opinions(self, comparisons: Sequence[Pairwise]) -> list[Opinion]:
        """An opinion of each comparison, in order; the two answers of a comparison differ."""
        ...


def judge_all(judge: Judge, comparisons: Sequence[Pairwise]) -> list[Opinion]:
    """The judge's opinions; identical answers are a tie and are not sent to it."""
    asked = [comparison for comparison in comparisons if comparison.completion != comparison.baseline]
    found = iter(judge.opinions(asked) if asked else [])
    return [next(found) if comparison.completion != comparison.baseline else Opinion(TIE) for comparison in comparisons]


def verdict(comparison: Pairwise, opinion: Opinion, **about: Any) -> Verdict:
    """The record of a comparison and the judge's opinion; `about` has all other fields."""
    found = Verdict(
        prompt=comparison.instruction.text,
        completion=comparison.completion,
        baseline=comparison.baseline,
        **asdict(opinion),
        **about,
    )
    return rounded(found)  # what is measured is what the file holds


# --- judges that are language models -------------------------------------------------------------------------------


class Reply(Record, frozen=True):
    """Log-probabilities of `m` and `M` as the answer to one question; None for a token outside the top candidates.

    A reply in text gives its label the log-probability 0 and the other one None. `fault` says why it has no label:
    it is `empty`, `cut_off` at the token limit, or its last line is no label (`no_label`). `text` is for readers.
    """

    key: str
    lower: float | None
    upper: float | None
    prompt_tokens: int
    completion_tokens: int
    text: str = ""
    fault: str = ""


class LanguageModelJudge(ABC):
    """An LLM judge; `reply` is how it gives one of the two labels (`prompt.REPLIES`)."""

    def __init__(self, name: str, both_orders: bool, reply: str = "logprobs") -> None:
        self.name, self.both_orders, self.reply = name, both_orders, reply

    @abstractmethod
    def ask(self, questions: Sequence[Conversation]) -> list[Reply]:
        """A reply to each question, in order."""

    def opinions(self, comparisons: Sequence[Pairwise]) -> list[Opinion]:
        """Ask about all comparisons at once."""
        swaps = [is_swapped(comparison.instruction.text) for comparison in comparisons]
        turns = (False, True) if self.both_orders else (False,)
        replies = self.ask(
            [
                # The second turn reverses the drawn order.
                question(comparison, swap != turned, self.reply)
                for comparison, swap in zip(comparisons, swaps, strict=True)
                for turned in turns
            ]
        )
        # A few replies may all lack a label by chance, and a rerun would get the same ones from the cache.
        if len(replies) >= PATIENCE:
            check_gives_labels(self.name, replies)
        starts = range(0, len(replies), len(turns))
        return [_opinion(swap, replies[at : at + len(turns)]) for at, swap in zip(starts, swaps, strict=True)]


def is_swapped(instruction: str) -> bool:
    """Whether the model's answer comes first; drawn as in alpaca_eval, the same for every model."""
    return random.Random(f"is_switched_outputs{instruction}0").choices([False, True])[0]


def question(comparison: Pairwise, swapped: bool, reply: str = "logprobs") -> Conversation:
    """The conversation for the judge; the first answer is labelled `m`."""
    answers = (comparison.baseline, comparison.completion)
    first, second = reversed(answers) if swapped else answers
    return prompt.conversation(comparison.instruction.text, first, second, reply)


def opinion(reply: Reply, swapped: bool) -> float | None:
    """The preference from the two log-probabilities."""
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


def flips(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """The share of verdicts in both orders whose orders name different winners; empty if there are no such verdicts."""
    flipped = [is_flipped(verdict.orders) for verdict in verdicts if verdict.orders and None not in verdict.orders]
    return {"flips": sum(flipped) / len(flipped)} if flipped else {}


def check_gives_labels(name: str, replies: Sequence[Reply]) -> None:
    """Raise LidrError if no reply has a label, with the faults of replies in text."""
    if any(reply.lower is not None or reply.upper is not None for reply in replies):
        return
    faults = Counter(reply.fault for reply in replies if reply.fault)
    why = f" ({', '.join(f'{count} {fault}' for fault, count in faults.items())})" if faults else ""
    raise LidrError(
        f"the judge {name} gives neither 'm' nor 'M', in {len(replies)} of {len(replies)} answers{why}; "
        "a model that answers with the bare label is expected"
    )


def _opinion(swapped: bool, replies: Sequence[Reply]) -> Opinion:
    """The opinion from the reply in the drawn order and, if both were asked, the one in the other order."""
    orders = tuple(opinion(reply, swapped != bool(turned)) for turned, reply in enumerate(replies))
    given = [preference for preference in orders if preference is not None]
    return Opinion(
        preference=fmean(given) if len(given) == len(orders) else None,
        orders=orders if len(orders) > 1 else (),
        swapped=swapped,
        judge_prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        judge_completion_tokens=sum(reply.completion_tokens for reply in replies),
        judge_faults=tuple(reply.fault for reply in replies if reply.fault),
    )
