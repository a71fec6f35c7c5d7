"""What the audit finds out about one pair; every table counts these, and the page shows them.

>>> facts.outcome, facts.chosen.right, facts.rejected.found_lang, facts.rejected.flags
(<Outcome.CHOSEN_ONLY: 'chosen_only'>, True, 'en', ('repeated',))
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lidr.audit.stories import Origins
from lidr.records import Pair

SIDES = ("chosen", "rejected")
FLAGS = ("truncated", "repeated", "markers", "refusal")


class Outcome(StrEnum):
    """Which of the two answers are right, by the prompt's gold answer."""

    CHOSEN_ONLY = "chosen_only"  # the signal points the right way
    BOTH = "both"
    NEITHER = "neither"
    REJECTED_ONLY = "rejected_only"  # the signal points the wrong way
    UNJUDGED = "unjudged"  # no gold answer, or none that can be compared


@dataclass(frozen=True)
class Side:
    """One answer of a pair. `tokens` is known for a model's own answers only; `right` is None without a gold answer."""

    text: str
    tokens: int | None
    found_lang: str | None
    off_target: bool
    right: bool | None
    truncated: bool
    repeated: bool
    markers: tuple[str, ...]
    refusal: bool

    @property
    def flags(self) -> tuple[str, ...]:
        """Which of `FLAGS` hold: what is wrong with the text by its look."""
        return tuple(flag for flag in FLAGS if getattr(self, flag))


@dataclass(frozen=True)
class Facts:
    """One pair, where its texts come from, and what they are."""

    pair: Pair
    origins: Origins
    chosen: Side
    rejected: Side
    near_identical: bool

    @property
    def outcome(self) -> Outcome:
        if self.chosen.right is None or self.rejected.right is None:
            return Outcome.UNJUDGED
        return _OUTCOMES[self.chosen.right, self.rejected.right]

    def side(self, name: str) -> Side:
        """One of `SIDES`."""
        return self.chosen if name == "chosen" else self.rejected


_OUTCOMES = {
    (True, False): Outcome.CHOSEN_ONLY,
    (True, True): Outcome.BOTH,
    (False, False): Outcome.NEITHER,
    (False, True): Outcome.REJECTED_ONLY,
}
