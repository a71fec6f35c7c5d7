"""How much of an answer is left when its translation is translated back, by the same model: chrF of a sample.

    >>> round_trip.figures(settings)["en-es"]
    {'n': 25, 'unparsed': 0, 'chrf': 98.3, 'low': 96.9, 'high': 99.1, 'same': 21}

The stage `translate` writes the sample. chrF is sacrebleu's, with its default signature (characters to n = 6, no words,
beta 2; 100 is the same text), of each answer that came back against the answer itself; reported is the mean over
answers with its bootstrap interval. A round trip needs no reference translation, and it has a blind spot: what is lost
on the way back looks like a loss on the way there, and a text that was copied comes back whole. So it stands beside
the measures of `fidelity`, which look at the way there alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lidr import config, paths
from lidr.audit.stories import Direction, Story, translation_directions
from lidr.errors import InputError
from lidr.jsonl import read_rows
from lidr.records import Translation

# What came back, by the prompt's id and the direction of the way there.
Sent = Mapping[tuple[str, Direction], Translation]


def sent(iteration: str) -> Sent:
    """The sample of an iteration; raises InputError where an answer came back twice."""
    found: dict[tuple[str, Direction], Translation] = {}
    for number, row in enumerate(_rows(iteration), start=1):
        key = (row.id, (row.target_lang, row.source_lang))
        if key in found:
            raise InputError(f"a second row of {row.id!r} from {row.source_lang}", paths.round_trip(iteration), number)
        found[key] = row
    return found


class RoundTrip:
    """Scores the sample's answers."""

    def __init__(self) -> None:
        self._met: set[tuple[str, Direction]] = set()
        self._scores: dict[Direction, list[float]] = {}
        self._counts: Counter[tuple[Direction, str]] = Counter()

    def add(self, sample: Sent, story: Story) -> None:
        """Compare the answers of one prompt with what came back of them."""
        for direction in story.translations:
            back = sample.get((story.id, direction))
            if back is None:
                continue
            self._met.add((story.id, direction))
            answer = story.responses.get(direction[0])
            if answer is None:
                continue
            self._counts[direction, "n"] += 1
            if back.text is None:
                self._counts[direction, "unparsed"] += 1
                continue
            self._scores.setdefault(direction, []).append(chrf(back.text, answer.text))
            self._counts[direction, "same"] += back.text.strip() == answer.text.strip()

    def merge(self, later: RoundTrip) -> None:
        """Add the scores of the prompts after these."""
        self._met |= later._met
        self._counts.update(later._counts)
        for direction, scores in later._scores.items():
            self._scores.setdefault(direction, []).extend(scores)

    def figures(self, settings: config.Settings, iteration: str, sample: Sent) -> dict[str, Any]:
        """By direction: answers that were sent and came back, and their mean chrF; raises where a row has no answer."""
        for prompt_id, (source, target) in sample:
            if (prompt_id, (source, target)) not in self._met:
                problem = f"a row of {prompt_id!r}: there is no translation {source}-{target} of it"
                raise InputError(problem, paths.round_trip(iteration))
        return {f"{a}-{b}": self._of((a, b), settings) for a, b in translation_directions(settings)}

    def _of(self, direction: Direction, settings: config.Settings) -> dict[str, Any]:
        scores = self._scores.get(direction, [])
        figures: dict[str, Any] = {name: self._counts[direction, name] for name in ("n", "unparsed", "same")}
        if not scores:
            return figures
        from lidr.evals.statistics import mean_interval

        mean = mean_interval(scores, settings.audit.confidence, settings.seed)
        return figures | {"chrf": mean.estimate, "low": mean.low, "high": mean.high}


def chrf(text: str, reference: str) -> float:
    """Character n-gram F-score of one text, 0 to 100 (M. Popović, WMT 2015), as sacrebleu computes it."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().sentence_score(text, [reference]).score)


def _rows(iteration: str) -> list[Translation]:
    """The sample; an empty file is one that was not asked for."""
    path = paths.round_trip(iteration)
    return [] if path.is_file() and path.stat().st_size == 0 else list(read_rows(path, Translation))
