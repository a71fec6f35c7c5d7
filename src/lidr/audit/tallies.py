"""All that the audit counts, over any part of the stories; the tallies of two parts are put together by `merge`.

    >>> tallies = Tallies(settings)
    >>> for story, found in zip(stories, examiner.facts(stories)):
    ...     tallies.add(story, found, index, sample)
    >>> tallies.merge(those_of_the_stories_after_these)

Each room counts one thing and keeps no row, but for the sample's. What stands in one order for all parts together
stands in that order for the parts merged one after the other: so the figures do not depend on where the parts end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lidr import config
from lidr.audit.contamination import Contamination, Index
from lidr.audit.counts import Counts
from lidr.audit.facts import Facts
from lidr.audit.fidelity import Fidelity
from lidr.audit.language import Languages
from lidr.audit.lengths import DropsByLength, Lengths
from lidr.audit.reward import Reward
from lidr.audit.round_trip import RoundTrip, Sent
from lidr.audit.sample import Sample
from lidr.audit.stories import Story
from lidr.audit.text_quality import TextQuality


class Tallies:
    """One of each; pickled, they hold no more than their counts. Those `before` are to be merged with these."""

    def __init__(self, settings: config.Settings, before: Tallies | None = None) -> None:
        self.counts, self.reward, self.fidelity = Counts(), Reward(), Fidelity()
        self.lengths, self.drops = Lengths(), DropsByLength(settings)
        self.languages, self.quality = Languages(), TextQuality()
        self.contamination: Contamination = Contamination(before.contamination if before else None)
        self.sample: Sample = Sample(settings, before.sample if before else None)
        self.round_trip = RoundTrip()

    def add(self, story: Story, found: Sequence[Facts], index: Index, sample: Sent) -> None:
        """Count one prompt and all that came of it; `sample` is what was translated back of some."""
        self.counts.add(story)
        self.reward.add(found)
        self.fidelity.add(story)
        self.round_trip.add(sample, story)
        self.drops.add(story)
        self.lengths.add_story(story)
        self.contamination.add(index, story, found)
        self.sample.add(story, found)
        for facts in found:
            self.lengths.add(facts)
            self.languages.add(facts)
            self.quality.add(facts)

    def merge(self, later: Tallies) -> None:
        """Add what was counted of the stories after these."""
        for name, tally in vars(self).items():
            tally.merge(getattr(later, name))

    def figures(self, settings: config.Settings) -> dict[str, Any]:
        """Of all rooms that need no more than the settings, as they stand in metrics.json."""
        codes = settings.all_languages
        return {
            "counts": self.counts.figures(settings),
            "reward": self.reward.figures(settings),
            "lengths": self.lengths.figures(codes) | {"drops": self.drops.figures()},
            "languages": self.languages.figures(codes),
            "quality": self.quality.figures(codes),
            "fidelity": self.fidelity.figures(settings),
        }
