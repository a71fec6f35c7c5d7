"""Reward accuracy and the verdict on saturation, by gold answers and by a judge.

    metrics.json, "reward": {"by_language": {"es":
    {"pairs": 280, "judged": 280, "chosen_only": 112, "both": 150, "neither": 8, "rejected_only": 10, ...,
     "accuracy": 0.918033, "low": 0.8556, "high": 0.9548, "verdict": "go on", "p": 0.0}, ...}, ...}

    >>> verdict(better=9, worse=1, confidence=0.95)
    ('go on', 0.0107...)

*Reward accuracy* is chosen / (chosen + rejected): among pairs with one better side (by gold answers: one right side),
the share in which it is the chosen one. 0.5 is chance. Its interval treats the pairs of a prompt as a cluster.

The verdict on saturation is an exact binomial test against 0.5. The pairs of a prompt share answers, so a prompt counts
once: as better if more of its pairs point the right way than the wrong way, as worse in the reverse case.

`lidr.pairs.gold` says which texts are right. Pairs that it cannot decide count as not judged; a judge (`judged`) can
decide them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lidr import config
from lidr.audit.facts import JUDGED_OUTCOMES, OUTCOMES, SIDES, UNJUDGED, Groups, total
from lidr.audit.figures import by_name, share
from lidr.evaluation.statistics import sign_test

if TYPE_CHECKING:
    from pandas import DataFrame

Figures = dict[str, Any]

GO_ON, STOP, REVERSED, TOO_FEW = "go on", "stop", "stop: reversed", "too few"


class Signal(NamedTuple):
    """A source of verdicts on pairs: its column in the facts table and that column's values.

    `no_verdict` is the verdict if it decides no pair; `remedy` is what to add if it decides too few.
    """

    column: str
    outcomes: tuple[str, ...]
    better: str
    worse: str
    no_verdict: str
    remedy: str


GOLD = Signal("gold_outcome", OUTCOMES, "chosen_only", "rejected_only", "no gold answers", "prompts with gold answers")
JUDGE = Signal("judged_outcome", JUDGED_OUTCOMES, "chosen", "rejected", "no verdicts", "pairs (audit.judged_pairs)")


def figures(pairs: Groups, signal: Signal, confidence: float) -> Figures:
    """Outcomes, reward accuracy and its interval over the pairs that have this signal."""

    parts = {"all": pairs.all, **pairs.by_language}
    by_part = {
        name: _table(rows, signal, confidence) | _verdict(rows, signal, confidence) for name, rows in parts.items()
    }
    return {
        "all": by_part.pop("all"),
        "by_language": by_part,
        "by_direction": {f"{a}:{b}": _table(rows, signal, confidence) for (a, b), rows in pairs.by_direction.items()},
    }


def _table(rows: DataFrame, signal: Signal, confidence: float) -> Figures:
    rows = rows[rows[signal.column].notna()]
    found = by_name(rows[signal.column])
    judged = rows[rows[signal.column] != UNJUDGED]
    table: Figures = {"pairs": len(rows), "judged": len(judged)}
    table |= {outcome: found.get(outcome, 0) for outcome in signal.outcomes}
    for side in SIDES if signal is GOLD else ():
        right = judged[f"{side}_right"]
        table |= {f"{side}_right": total(right)} | share(right, rows["prompt_id"], confidence, f"{side}_accuracy")
    decided = rows[rows[signal.column].isin((signal.better, signal.worse))]
    return table | share(decided[signal.column] == signal.better, rows["prompt_id"], confidence, "accuracy")


def _verdict(rows: DataFrame, signal: Signal, confidence: float) -> Figures:
    """The verdict over prompts: one is better if more of its pairs point the right way than the wrong way."""
    outcomes = rows[signal.column].dropna()
    points = (outcomes == signal.better).astype(int) - (outcomes == signal.worse).astype(int)
    by_prompt = points.groupby(rows["prompt_id"]).sum()
    better, worse = int((by_prompt > 0).sum()), int((by_prompt < 0).sum())
    counts: Figures = {"prompts_better": better, "prompts_worse": worse}
    if (outcomes == UNJUDGED).all():
        return counts | {"verdict": signal.no_verdict}
    word, p = verdict(better, worse, confidence)
    return counts | {"verdict": word, "p": p}


def verdict(better: int, worse: int, confidence: float) -> tuple[str, float]:
    """Whether the chosen side is still better, and the exact one-sided p value."""
    n, level = better + worse, 1 - confidence
    p_better, p_worse = sign_test(better, n), sign_test(worse, n)
    if p_better <= level:
        return GO_ON, p_better
    if p_worse <= level:
        return REVERSED, p_better
    return (TOO_FEW if 0.5**n > level else STOP), p_better


def deciding(found: Figures) -> Figures:
    """The figures whose verdict counts: by gold answers, or by the judge if gold answers decide nothing."""
    by_gold: Figures = found["reward"]
    by_judge: Figures = found.get("judged", by_gold)
    return by_gold if by_gold["all"]["verdict"] not in (GOLD.no_verdict, TOO_FEW) else by_judge


def recommendation(found: Figures, settings: config.Settings) -> str:
    """The advice that follows from the verdicts."""
    figures = deciding(found)
    if figures is found["reward"]:
        return _advice(figures, GOLD, settings)
    return f"By the judge's verdicts: {_advice(figures, JUDGE, settings)}"


def disagreement(found: Figures) -> list[str]:
    """A warning if gold answers and the judge have different verdicts."""
    if "judged" not in found:
        return []
    gold, judge = (found[block]["all"]["verdict"] for block in ("reward", "judged"))
    without = (GOLD.no_verdict, JUDGE.no_verdict, TOO_FEW)
    if gold == judge or gold in without or judge in without:
        return []
    return [f"gold answers and the judge disagree: {gold!r} by gold answers, {judge!r} by the judge"]


def _advice(figures: Figures, signal: Signal, settings: config.Settings) -> str:
    whole, by_language = figures["all"], figures["by_language"]
    counts = (
        f"counting each prompt once, the chosen side is better for {whole['prompts_better']:,} prompts and worse for "
        f"{whole['prompts_worse']:,}"
    )
    spent = [lang for lang in settings.languages if by_language[lang]["verdict"] in (STOP, REVERSED)]
    ended = (
        f", though no longer for {', '.join(spent)}, where chosen answers are not measurably better" if spent else ""
    )
    none_has_gold = (
        "no prompt of this iteration has a gold answer that can be compared. A judge can tell (audit.judge)."
    )
    advice = {
        GOLD.no_verdict: f"No verdict on saturation: {none_has_gold}",
        JUDGE.no_verdict: "No verdict on saturation: the judge gave none.",
        TOO_FEW: f"No verdict on saturation: {counts}, too few to tell. Use more {signal.remedy}.",
        REVERSED: f"Stop: the signal points the wrong way ({counts}). Training on these pairs teaches mistakes.",
        STOP: f"Stop: the signal is saturated, chosen answers are not measurably better ({counts}).",
        GO_ON: f"Go on{ended}: {counts}.",
    }
    return advice[whole["verdict"]]
