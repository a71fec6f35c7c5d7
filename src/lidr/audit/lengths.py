"""How long chosen and rejected are, and whether dropping pairs favours short prompts' answers.

    >>> lengths.figures(("es",))["by_language"]["es"]["difference"]
    {'n': 262, 'mean': 3.2, 'q1': -2, 'median': 0, 'q3': 5, 'max': 61}

DPO learns length where chosen answers are longer than rejected ones, and a model loses its long answers where they are
dropped more often than short ones. Lengths are in characters; in tokens for a model's own answers, whose count is
recorded (a translation's is not).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import sqrt
from statistics import NormalDist
from typing import Any, TypeVar

from lidr import config
from lidr.audit.facts import SIDES, Facts
from lidr.audit.stories import Story
from lidr.records import DropReason

Histogram = Counter[int]
Key = TypeVar("Key")

# Of the difference in the share dropped between the longest and the shortest quarter: less is no bias worth a warning.
SMALLEST_BIAS = 0.01


def distribution(histogram: Histogram) -> dict[str, float]:
    """Size, mean, quartiles and greatest value of a histogram of whole numbers."""
    n = histogram.total()
    if not n:
        return {"n": 0}
    return {
        "n": n,
        "mean": sum(value * count for value, count in histogram.items()) / n,
        "q1": quantile(histogram, 0.25),
        "median": quantile(histogram, 0.5),
        "q3": quantile(histogram, 0.75),
        "max": max(histogram),
    }


def quantile(histogram: Histogram, share: float) -> int:
    """The smallest value that this share of all values does not exceed."""
    left = share * histogram.total()
    for value in sorted(histogram):
        left -= histogram[value]
        if left <= 0:
            return value
    return max(histogram)


class Lengths:
    """Histograms of lengths by language and side."""

    def __init__(self) -> None:
        self.characters: dict[tuple[str, str], Histogram] = defaultdict(Counter)
        self._tokens: dict[str, Histogram] = defaultdict(Counter)
        self._differences: dict[str, Histogram] = defaultdict(Counter)

    def add_story(self, story: Story) -> None:
        """Count the tokens of the model's own answers."""
        for lang, response in story.responses.items():
            self._tokens[lang][response.completion_tokens] += 1

    def add(self, facts: Facts) -> None:
        """Count the characters of one pair."""
        lang = facts.pair.lang
        for name, side in facts.sides():
            self.characters[lang, name][len(side.text)] += 1
        difference = len(facts.chosen.text) - len(facts.rejected.text)
        self._differences[lang][difference] += 1

    def merge(self, later: Lengths) -> None:
        """Add the lengths of the stories after these."""
        _merge(self.characters, later.characters)
        _merge(self._tokens, later._tokens)
        _merge(self._differences, later._differences)

    def figures(self, languages: tuple[str, ...]) -> dict[str, Any]:
        """Distributions by language: characters of each side, their difference, tokens of the model's own answers."""
        return {"by_language": {lang: self._of(lang) for lang in languages}}

    def _of(self, lang: str) -> dict[str, Any]:
        differences = self._differences.get(lang, Counter())
        n = differences.total()
        figures: dict[str, Any] = {
            name: distribution(self.characters.get((lang, name), Counter())) for name in SIDES
        } | {"difference": distribution(differences), "answer_tokens": distribution(self._tokens.get(lang, Counter()))}
        if n:
            figures["chosen_longer"] = sum(c for value, c in differences.items() if value > 0) / n
            figures["chosen_shorter"] = sum(c for value, c in differences.items() if value < 0) / n
        return figures


class DropsByLength:
    """Drops by the length of the dominant answer to their prompt, in quarters of all prompts."""

    def __init__(self, settings: config.Settings) -> None:
        self._dominant = settings.dominant
        self._directions = 2 * len(settings.languages)
        self._confidence = settings.audit.confidence
        self._prompts: Histogram = Counter()
        self._failed: Counter[tuple[int, int]] = Counter()  # (length, directions that failed) -> prompts
        self._reasons: Counter[tuple[int, DropReason]] = Counter()

    def add(self, story: Story) -> None:
        """Count one prompt; without a dominant answer it has no length, and is left out."""
        response = story.responses.get(self._dominant)
        if response is None:
            return
        length = len(response.text)
        self._prompts[length] += 1
        self._failed[length, sum(drop.reason is not DropReason.IDENTICAL for drop in story.drops)] += 1
        self._reasons.update((length, drop.reason) for drop in story.drops)

    def merge(self, later: DropsByLength) -> None:
        """Add the counts of the prompts after these."""
        self._prompts.update(later._prompts)
        self._failed.update(later._failed)
        self._reasons.update(later._reasons)

    def figures(self) -> dict[str, Any]:
        """For each quarter its bounds, and the share of its prompts x directions dropped, in all and by reason.

        `failed` leaves identical answers out: there is nothing to prefer in them, so nothing is lost. `bias` is the
        share failed in the longest quarter less that in the shortest, with an interval over prompts: the directions of
        one prompt share its answers, and are no independent evidence.
        """
        quarters = [self._quarter(low, high) for low, high in self._bounds()]
        figures: dict[str, Any] = {f"q{i}": quarter for i, quarter in enumerate(quarters, start=1)}
        if len(quarters) < 2:
            return {"quarters": figures}
        first, last = (self._shares(q["from"], q["to"]) for q in (quarters[0], quarters[-1]))
        difference = _mean(last) - _mean(first)
        margin = NormalDist().inv_cdf(0.5 + self._confidence / 2) * sqrt(_variance(first) + _variance(last))
        return {
            "quarters": figures,
            "bias": {"difference": difference, "low": difference - margin, "high": difference + margin},
        }

    def _bounds(self) -> list[tuple[int, int]]:
        """Lengths from and to of each quarter, fewer than four where many answers are equally long."""
        if not self._prompts:
            return []
        ends = sorted({quantile(self._prompts, share) for share in (0.25, 0.5, 0.75, 1.0)})
        starts = [min(self._prompts), *(end + 1 for end in ends[:-1])]
        return list(zip(starts, ends, strict=True))

    def _quarter(self, low: int, high: int) -> dict[str, Any]:
        prompts = sum(count for length, count in self._prompts.items() if low <= length <= high)
        reasons: Counter[str] = Counter()
        for (length, reason), count in self._reasons.items():
            if low <= length <= high:
                reasons[reason.value] += count
        rows = prompts * self._directions
        failed = (reasons.total() - reasons[DropReason.IDENTICAL.value]) / rows
        by_reason = {reason.value: reasons[reason.value] / rows for reason in DropReason if reasons[reason.value]}
        return {
            "from": low,
            "to": high,
            "prompts": prompts,
            "dropped": reasons.total() / rows,
            "failed": failed,
        } | by_reason

    def _shares(self, low: int, high: int) -> Counter[float]:
        shares: Counter[float] = Counter()
        for (length, failed), prompts in self._failed.items():
            if low <= length <= high:
                shares[failed / self._directions] += prompts
        return shares


def bias_warning(figures: dict[str, Any]) -> str | None:
    """A line where drops favour short or long answers, clearly and by more than `SMALLEST_BIAS`."""
    bias = figures.get("bias")
    if bias is None or bias["low"] <= 0 <= bias["high"] or abs(bias["difference"]) < SMALLEST_BIAS:
        return None
    quarters = list(figures["quarters"].values())
    shortest, longest = quarters[0]["failed"], quarters[-1]["failed"]
    kept = "short" if longest > shortest else "long"
    return (
        f"drops bias the pairs towards {kept} answers: {longest:.1%} failed where the dominant answer is longest, "
        f"{shortest:.1%} where it is shortest"
    )


def _merge(histograms: dict[Key, Histogram], later: dict[Key, Histogram]) -> None:
    for key, histogram in later.items():
        histograms.setdefault(key, Counter()).update(histogram)


def _mean(shares: Counter[float]) -> float:
    return sum(share * n for share, n in sorted(shares.items())) / shares.total()


def _variance(shares: Counter[float]) -> float:
    """Of the mean."""
    n, mean = shares.total(), _mean(shares)
    return sum(count * (share - mean) ** 2 for share, count in sorted(shares.items())) / max(n - 1, 1) / n
