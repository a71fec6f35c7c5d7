"""How long chosen and rejected are, and whether dropping pairs favours some lengths.

    reports/m1/audit/metrics.json, lengths.by_language.es:
    {"difference": {"n": 327, "mean": -2.862385, "q1": -1, "median": 0, "q3": 0, "max": 43}, ...}

DPO learns length where chosen answers are longer than rejected ones, and a model loses its long answers where they are
dropped more often than short ones. Lengths are in characters; in tokens for a model's own answers, whose count is
recorded (a translation's is not).
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit.facts import PAIR, SIDES, Groups, total

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Figures = dict[str, Any]

# Drops by which no answer is lost: there is nothing to prefer, or the prompt gives another pair in their place.
NOTHING_LOST = ("identical", "not_drawn")
# Least difference in the share dropped, between the longest and the shortest quarter, that is worth a warning.
SMALLEST_BIAS = 0.01


def figures(rows: Groups, pairs: Groups, settings: config.Settings) -> Figures:
    """By language, distributions of lengths and their difference; drops by length; the filters' effect on lengths."""
    return {
        "by_language": {lang: _of(part, rows.by_language[lang]) for lang, part in pairs.by_language.items()},
        "drops": drops_by_length(rows.all, settings.audit.confidence),
        "filters": filters(rows),
    }


def distribution(values: Series) -> Figures:
    """Size, mean, quartiles and greatest of whole numbers; nulls do not count."""
    import numpy

    numbers = values.dropna().to_numpy(dtype="int64")
    if not len(numbers):
        return {"n": 0}
    q1, median, q3 = (int(value) for value in numpy.quantile(numbers, (0.25, 0.5, 0.75), method="inverted_cdf"))
    return {
        "n": len(numbers),
        "mean": float(numbers.mean()),
        "q1": q1,
        "median": median,
        "q3": q3,
        "max": int(numbers.max()),
    }


def _of(pairs: DataFrame, rows: DataFrame) -> Figures:
    """Of one language's pairs, and of the own answers in all of its rows."""
    found: Figures = {side: distribution(pairs[f"{side}_characters"]) for side in SIDES}
    differences = pairs["chosen_characters"] - pairs["rejected_characters"]
    found["difference"] = distribution(differences)
    # The dominant answer stands in a row for each other language.
    found["answer_tokens"] = distribution(rows.drop_duplicates("prompt_id")["answer_tokens"])
    if len(pairs):
        found["chosen_longer"] = total(differences > 0) / len(pairs)
        found["chosen_shorter"] = total(differences < 0) / len(pairs)
    return found


# --- what dropping does to lengths -----------------------------------------------------------------------------------


def drops_by_length(rows: DataFrame, confidence: float) -> Figures:
    """By quarters of the dominant answers' lengths: bounds, and the share of prompts x directions dropped, by reason.

    A prompt without a dominant answer has no length, and is left out. `failed` leaves `NOTHING_LOST` out. `bias` is the
    share failed in the longest quarter less that in the shortest, with an interval over prompts: the directions of one
    prompt share its answers, and are no independent evidence.
    """
    rows = rows[["prompt_id", "reason"]].assign(length=rows["dominant_characters"]).dropna(subset="length")
    rows["failed"] = rows["reason"].notna() & ~rows["reason"].isin(NOTHING_LOST)
    prompts = rows.groupby("prompt_id").agg(length=("length", "first"), failed=("failed", "mean"))
    quarters = _quarters(prompts["length"])
    found: Figures = {
        f"q{i}": {"from": low, "to": high, "prompts": len(_between(prompts, low, high))}
        | _dropped(_between(rows, low, high))
        for i, (low, high) in enumerate(quarters, start=1)
    }
    if len(quarters) < 2:
        return {"quarters": found}
    first, last = (_between(prompts, *quarters[i])["failed"] for i in (0, -1))
    difference = float(last.mean() - first.mean())
    margin = NormalDist().inv_cdf(0.5 + confidence / 2) * sqrt(_squared_error(first) + _squared_error(last))
    return {
        "quarters": found,
        "bias": {"difference": difference, "low": difference - margin, "high": difference + margin},
    }


def _quarters(lengths: Series) -> list[tuple[int, int]]:
    """Lengths from and to of each quarter, fewer than four where many answers are equally long."""
    spread = distribution(lengths)
    if not spread["n"]:
        return []
    ends = sorted({spread[name] for name in ("q1", "median", "q3", "max")})
    starts = [int(lengths.min()), *(end + 1 for end in ends[:-1])]
    return list(zip(starts, ends, strict=True))


def _between(rows: DataFrame, low: int, high: int) -> DataFrame:
    return rows[rows["length"].between(low, high)]


def _dropped(rows: DataFrame) -> dict[str, float]:
    """The shares of these prompts x directions that were dropped: in all, but for identical answers, and by reason."""
    reasons = rows["reason"].value_counts().sort_index()
    shares = {"dropped": int(reasons.sum()) / len(rows), "failed": total(rows["failed"]) / len(rows)}
    return shares | {str(reason): int(count) / len(rows) for reason, count in reasons.items()}


def filters(rows: Groups) -> Figures:
    """By reason and language: how much longer chosen is with the pairs that the reason dropped, and without them.

    A reason is a filter's where its drops have two whole texts, which would have been a pair. `without` are the pairs
    as they are, `with` those and the ones that this reason alone took away.
    """
    found: Figures = {}
    reasons = rows.all.loc[rows.all["chosen_characters"].notna(), "reason"].dropna().unique()
    for reason in sorted(set(reasons) - set(NOTHING_LOST)):
        found[reason] = {}
        for lang, part in ({"all": rows.all} | rows.by_language).items():
            kept, dropped = part["outcome"] == PAIR, (part["reason"] == reason).fillna(False)
            if dropped.any():
                found[reason][lang] = {
                    "dropped": total(dropped),
                    "with": _longer(part[kept | dropped]),
                    "without": _longer(part[kept]),
                }
    return found


def _longer(rows: DataFrame) -> Figures:
    """Of some pairs the mean of chosen less rejected, and the share in which chosen is longer."""
    differences = (rows["chosen_characters"] - rows["rejected_characters"]).dropna()
    n = len(differences)
    return {
        "n": n,
        "difference": float(differences.mean()) if n else None,
        "chosen_longer": total(differences > 0) / n if n else None,
    }


def _squared_error(shares: Series) -> float:
    """Of their mean: the variance over the number."""
    return float(shares.var()) / len(shares) if len(shares) > 1 else 0.0
