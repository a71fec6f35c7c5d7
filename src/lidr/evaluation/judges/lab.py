"""The lab's checker as a judge: an answer that is right and in the instruction's language is better."""

from __future__ import annotations

from collections.abc import Sequence

from lidr.evaluation.judges.base import Opinion, Pairwise
from lidr.records import TIE


class OracleJudge:
    """A `Judge` (see `base`) that does not depend on the order of the answers.

    With `half_marks`, a right answer in another language is better than a wrong one.
    """

    def __init__(self, both_orders: bool, half_marks: bool = True) -> None:
        self.both_orders, self.half_marks = both_orders, half_marks

    def opinions(self, comparisons: Sequence[Pairwise]) -> list[Opinion]:
        """Check both answers of each comparison."""
        preferences = [self._preference(comparison) for comparison in comparisons]
        return [Opinion(p, orders=(p, p) if self.both_orders else ()) for p in preferences]

    def _preference(self, comparison: Pairwise) -> float:
        from lidr.lab.source import quality

        item = comparison.instruction
        ours, theirs = (
            quality(text, str(item.answer), item.lang) for text in (comparison.completion, comparison.baseline)
        )
        if not self.half_marks:
            ours, theirs = ours == 1.0, theirs == 1.0
        return TIE + (ours > theirs) * 0.5 - (ours < theirs) * 0.5
