"""The reward signal itself: on prompts with a gold answer, is the chosen text right and the rejected one wrong?

    >>> figures(pairs, settings)["by_language"]["es"]
    {'pairs': 280, 'judged': 280, 'chosen_only': 112, 'both': 150, 'neither': 8, 'rejected_only': 10, ...,
     'accuracy': 0.918033, 'low': 0.8556, 'high': 0.9548, 'verdict': 'go on', 'p': 0.0}

*Reward accuracy* is chosen-only / (chosen-only + rejected-only): of the pairs that say anything about which answer is
right, how many say it the right way round. 0.5 is a coin.

The verdict on saturation is an exact binomial test against that coin. A prompt counts once however many pairs it
gives, since they share answers: as better, where its pairs are right more often the right way round than the wrong
way; as worse in the reverse case.

What a right text is, `lidr.pairs.gold` says; a pair of which that cannot be told is not judged, and counted so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit.examples import pair_directions
from lidr.audit.facts import SIDES, Outcome, columns, within
from lidr.evaluation.statistics import sign_test, wilson

if TYPE_CHECKING:
    from pandas import DataFrame

GO_ON, STOP, REVERSED, TOO_FEW, NO_GOLD = "go on", "stop", "stop: reversed", "too few", "no gold answers"

# Which way a pair of each outcome points.
POINTS = dict.fromkeys(map(str, Outcome), 0) | {Outcome.CHOSEN_ONLY.value: 1, Outcome.REJECTED_ONLY.value: -1}


def figures(pairs: DataFrame, settings: config.Settings) -> dict[str, Any]:
    """The table of outcomes with reward accuracy and its interval: all, by language, by direction."""
    pairs, confidence = columns(pairs, "gold_outcome", "chosen_right", "rejected_right"), settings.audit.confidence
    by_language = {lang: within(pairs, lang) for lang in settings.all_languages}
    return {
        "all": _table(pairs, confidence) | _verdict(pairs, confidence),
        "by_language": {
            lang: _table(rows, confidence) | _verdict(rows, confidence) for lang, rows in by_language.items()
        },
        "by_direction": {
            f"{a}:{b}": _table(within(by_language[a], a, b), confidence) for a, b in pair_directions(settings)
        },
    }


def _table(pairs: DataFrame, confidence: float) -> dict[str, Any]:
    found = pairs["gold_outcome"].value_counts()
    counts = {outcome: int(found.get(outcome.value, 0)) for outcome in Outcome}
    judged = pairs[pairs["gold_outcome"] != Outcome.UNJUDGED.value]
    table: dict[str, Any] = {"pairs": len(pairs), "judged": len(judged)}
    table |= {outcome.value: count for outcome, count in counts.items()}
    for side in SIDES:
        right = int(judged[f"{side}_right"].sum())
        table |= {f"{side}_right": right} | share(right, len(judged), confidence, f"{side}_accuracy")
    decided = counts[Outcome.CHOSEN_ONLY] + counts[Outcome.REJECTED_ONLY]
    return table | share(counts[Outcome.CHOSEN_ONLY], decided, confidence, "accuracy")


def _verdict(pairs: DataFrame, confidence: float) -> dict[str, Any]:
    """Over prompts: a prompt is better where more of its pairs point the right way than the wrong way."""
    outcomes = pairs["gold_outcome"]
    by_prompt = outcomes.map(POINTS).groupby(pairs["prompt_id"]).sum()
    better, worse = int((by_prompt > 0).sum()), int((by_prompt < 0).sum())
    counts: dict[str, Any] = {"prompts_better": better, "prompts_worse": worse}
    if (outcomes == Outcome.UNJUDGED.value).all():
        return counts | {"verdict": NO_GOLD}
    word, p = verdict(better, worse, confidence)
    return counts | {"verdict": word, "p": p}


def verdict(better: int, worse: int, confidence: float) -> tuple[str, float]:
    """Whether the chosen side is still better, and the probability of such a lead if it were not (one-sided, exact)."""
    n, level = better + worse, 1 - confidence
    p_better, p_worse = sign_test(better, n), sign_test(worse, n)
    if p_better <= level:
        return GO_ON, p_better
    if p_worse <= level:
        return REVERSED, p_better
    return (TOO_FEW if 0.5**n > level else STOP), p_better


def recommendation(figures: dict[str, Any], settings: config.Settings) -> str:
    """What the verdicts advise, in words."""
    whole, by_language = figures["all"], figures["by_language"]
    counts = (
        f"counting each prompt once, the chosen side is better for {whole['prompts_better']:,} prompts and worse for "
        f"{whole['prompts_worse']:,}"
    )
    if whole["verdict"] == NO_GOLD:
        return "No verdict on saturation: no prompt of this iteration has a gold answer that can be compared."
    if whole["verdict"] == TOO_FEW:
        return f"No verdict on saturation: {counts}, too few to tell. Use more prompts with gold answers."
    if whole["verdict"] == REVERSED:
        return f"Stop: the signal points the wrong way ({counts}). Training on these pairs teaches mistakes."
    if whole["verdict"] == STOP:
        return f"Stop: the signal is saturated, chosen answers are not measurably better ({counts})."
    spent = [lang for lang in settings.languages if by_language[lang]["verdict"] in (STOP, REVERSED)]
    if not spent:
        return f"Go on: {counts}."
    return f"Go on, though no longer for {', '.join(spent)}, where chosen answers are not measurably better: {counts}."


def share(successes: int, n: int, confidence: float, name: str) -> dict[str, float]:
    """A share with its Wilson interval, under names for a table; nothing where there is nothing to divide by."""
    if not n:
        return {}
    interval = wilson(successes, n, confidence)
    prefix = "" if name == "accuracy" else f"{name}_"
    return {name: interval.estimate, f"{prefix}low": interval.low, f"{prefix}high": interval.high}
