"""How long chosen and rejected are, and whether dropping pairs favours short prompts' answers.

    >>> figures(frame, pairs, settings)["by_language"]["es"]["difference"]
    {'n': 262, 'mean': 3.2, 'q1': -2, 'median': 0, 'q3': 5, 'max': 61}

DPO learns length where chosen answers are longer than rejected ones, and a model loses its long answers where they are
dropped more often than short ones. Lengths are in characters; in tokens for a model's own answers, whose count is
recorded (a translation's is not).
"""

from __future__ import annotations

from collections import Counter
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit.facts import SIDES, columns, within
from lidr.pairs.filters import reasons as all_reasons
from lidr.records import DropReason

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Histogram = Counter[int]

# Of the difference in the share dropped between the longest and the shortest quarter: less is no bias worth a warning.
SMALLEST_BIAS = 0.01

# Drops by which no answer is lost: nothing to prefer, or the prompt gives another pair in its place.
NOTHING_LOST = ("identical", DropReason.NOT_DRAWN.value)


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


def figures(frame: DataFrame, pairs: DataFrame, settings: config.Settings) -> dict[str, Any]:
    """By language, distributions of lengths and their difference; and drops by the length of the dominant answer."""
    frame = columns(frame, "reason", "answer_characters", "answer_tokens")
    pairs = columns(pairs, *(f"{side}_characters" for side in SIDES))
    by_language = {
        lang: _of(within(pairs, lang), within(frame, lang).drop_duplicates("prompt_id"))
        for lang in settings.all_languages
    }
    return {"by_language": by_language, "drops": _drops_by_length(frame, settings)}


def histograms(pairs: DataFrame, languages: tuple[str, ...]) -> dict[tuple[str, str], Histogram]:
    """Lengths in characters by (language, side), those that any pair has."""
    pairs = columns(pairs, *(f"{side}_characters" for side in SIDES))
    found = {
        (lang, side): _histogram(within(pairs, lang)[f"{side}_characters"]) for lang in languages for side in SIDES
    }
    return {key: histogram for key, histogram in found.items() if histogram}


def _of(pairs: DataFrame, answers: DataFrame) -> dict[str, Any]:
    differences = pairs["chosen_characters"] - pairs["rejected_characters"]
    found: dict[str, Any] = {side: distribution(_histogram(pairs[f"{side}_characters"])) for side in SIDES}
    found["difference"] = distribution(_histogram(differences))
    found["answer_tokens"] = distribution(_histogram(answers["answer_tokens"]))
    if len(pairs):
        found["chosen_longer"] = int((differences > 0).sum()) / len(pairs)
        found["chosen_shorter"] = int((differences < 0).sum()) / len(pairs)
    return found


def _histogram(column: Series) -> Histogram:
    return Counter(column.value_counts().to_dict())


def _drops_by_length(frame: DataFrame, settings: config.Settings) -> dict[str, Any]:
    """For each quarter its bounds, and the share of its prompts x directions dropped, in all and by reason.

    A prompt without a dominant answer has no length, and is left out. `failed` leaves `NOTHING_LOST` out. `bias` is the
    share failed in the longest quarter less that in the shortest, with an interval over prompts: the directions of one
    prompt share its answers, and are no independent evidence.
    """
    lengths = within(frame, settings.dominant).drop_duplicates("prompt_id").set_index("prompt_id")["answer_characters"]
    rows = frame[["prompt_id", "reason"]].assign(length=frame["prompt_id"].map(lengths.dropna().astype("int64")))
    rows = rows.dropna(subset="length")
    rows["failed"] = rows["reason"].notna() & ~rows["reason"].isin(NOTHING_LOST)
    prompts = rows.groupby("prompt_id").agg(length=("length", "first"), failed=("failed", "mean"))
    quarters = [(low, high, _between(rows, low, high)) for low, high in _bounds(_histogram(prompts["length"]))]
    figures: dict[str, Any] = {
        f"q{i}": {"from": low, "to": high, "prompts": len(_between(prompts, low, high))} | _dropped(part)
        for i, (low, high, part) in enumerate(quarters, start=1)
    }
    if len(quarters) < 2:
        return {"quarters": figures}
    first, last = (_between(prompts, low, high)["failed"] for low, high, _ in (quarters[0], quarters[-1]))
    difference = float(last.mean() - first.mean())
    margin = NormalDist().inv_cdf(0.5 + settings.audit.confidence / 2) * sqrt(
        _squared_error(first) + _squared_error(last)
    )
    return {
        "quarters": figures,
        "bias": {"difference": difference, "low": difference - margin, "high": difference + margin},
    }


def _bounds(lengths: Histogram) -> list[tuple[int, int]]:
    """Lengths from and to of each quarter, fewer than four where many answers are equally long."""
    if not lengths:
        return []
    ends = sorted({quantile(lengths, share) for share in (0.25, 0.5, 0.75, 1.0)})
    starts = [min(lengths), *(end + 1 for end in ends[:-1])]
    return list(zip(starts, ends, strict=True))


def _between(rows: DataFrame, low: int, high: int) -> DataFrame:
    return rows[rows["length"].between(low, high)]


def _dropped(rows: DataFrame) -> dict[str, float]:
    """The shares of these prompts x directions that were dropped: in all, but for identical answers, and by reason."""
    reasons = rows["reason"].value_counts()
    counts = {reason: int(reasons[reason]) for reason in all_reasons() if reason in reasons.index}
    shares = {"dropped": sum(counts.values()) / len(rows), "failed": int(rows["failed"].sum()) / len(rows)}
    return shares | {reason: count / len(rows) for reason, count in counts.items()}


def _squared_error(shares: Series) -> float:
    """Of their mean: the variance over the number."""
    return float(shares.var()) / len(shares) if len(shares) > 1 else 0.0


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
