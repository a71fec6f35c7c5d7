"""What the audit finds out about one pair; every table counts these, and the page shows them.

>>> facts.outcome, facts.chosen.right, facts.rejected.found_lang, facts.rejected.flags
(<Outcome.CHOSEN_ONLY: 'chosen_only'>, True, 'en', ('repeated',))
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from lidr.audit.normalise import Comparable
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


class Side(Struct, frozen=True, gc=False):
    """One answer of a pair. `right` is None without a gold answer.

    `flags` are those of `FLAGS` that hold: what is wrong with the text by its look.
    """

    content: Comparable
    found_lang: str | None
    off_target: bool
    right: bool | None
    flags: tuple[str, ...]
    markers: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it was written."""
        return self.content.text


class Facts(Struct, frozen=True, gc=False):
    """One pair, where its texts come from, and what they are."""

    pair: Pair
    origins: Origins
    chosen: Side
    rejected: Side
    near_identical: bool
    outcome: Outcome

    def sides(self) -> tuple[tuple[str, Side], tuple[str, Side]]:
        """Each of `SIDES` by its name."""
        return ("chosen", self.chosen), ("rejected", self.rejected)


def outcome(chosen_right: bool | None, rejected_right: bool | None) -> Outcome:
    """Which of two answers are right."""
    if chosen_right is None or rejected_right is None:
        return Outcome.UNJUDGED
    return _OUTCOMES[chosen_right, rejected_right]


_OUTCOMES = {
    (True, False): Outcome.CHOSEN_ONLY,
    (True, True): Outcome.BOTH,
    (False, False): Outcome.NEITHER,
    (False, True): Outcome.REJECTED_ONLY,
}
