"""The audit's figures other than the reward's: group-bys over the facts table, a function per block of metrics.json.

    {"counts": {"by_direction": {"es:en": {"prompts": 300, "pairs": 262, "drops": 38, "identical": 30, ...}, ...}, ...},
     "fidelity": {"en-es": {"translations": 298, "with_numbers": 240, "numbers_kept": 236, ...}, ...}, ...}

For every direction, prompts = pairs + drops, and drops = the sum over their reasons. `examples` checks this for each
prompt.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit.examples import pair_directions, translation_directions
from lidr.audit.facts import DROP, FLAGS, PAIR, SIDES, Groups, total
from lidr.evaluation.statistics import clustered_share, mean_interval
from lidr.records import FinishReason

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Figures = dict[str, Any]


def share(hits: Series, prompts: Series, confidence: float, name: str) -> dict[str, float]:
    """The share of hits with its interval, under the names of metrics.json; empty if there are no rows.

    Rows of one prompt share its answers, so they are a cluster.
    """
    if not len(hits):
        return {}
    by_prompt = hits.astype(int).groupby(prompts)
    interval = clustered_share(by_prompt.sum().to_list(), by_prompt.size().to_list(), confidence)
    prefix = "" if name == "accuracy" else f"{name}_"
    return {name: interval.estimate, f"{prefix}low": interval.low, f"{prefix}high": interval.high}


# --- counts ----------------------------------------------------------------------------------------------------------


def counts(rows: Groups, settings: config.Settings) -> Figures:
    """Counts of prompts, pairs, drops, answers and translations, by reason, rule, language and direction."""
    directions, translated = pair_directions(settings), translation_directions(settings)
    whole = _pairs_and_drops(rows.all)
    # Not every rule and direction makes pairs in every language.
    by_language = {lang: part for lang, part in rows.by_language.items() if len(part)}
    return {
        "prompts": len(rows.all) // len(directions),
        "prompts_with_gold": int(rows.all.loc[rows.all["gold"].notna(), "prompt_id"].nunique()),
        "directions": len(directions),
        "pairs": whole.pop("pairs"),
        "drops": whole.pop("drops"),
        "by_reason": {reason: count for reason, count in whole.items() if reason != "prompts"},
        "by_rule": by_name(rows.all["rule"]),
        "by_language": {lang: _pairs_and_drops(part) for lang, part in by_language.items()},
        "by_direction": {f"{a}:{b}": _pairs_and_drops(rows.by_direction[a, b]) for a, b in directions},
        "answers": {lang: _answers(part) for lang, part in by_language.items()},
        "translations": {f"{a}-{b}": _translations(rows.translated(a, b)) for a, b in translated},
    }


def by_name(column: Series) -> dict[str, int]:
    """The count of each value in a column, in alphabetical order."""
    return {str(value): int(n) for value, n in column.value_counts().sort_index().items()}


def _pairs_and_drops(rows: DataFrame) -> dict[str, int]:
    """Prompts x directions, pairs, drops, and the drops by reason."""
    outcomes = by_name(rows["outcome"])
    found = {"prompts": len(rows), "pairs": outcomes.get(PAIR, 0), "drops": outcomes.get(DROP, 0)}
    return found | by_name(rows["reason"])


def _answers(rows: DataFrame) -> dict[str, int]:
    answers = rows.drop_duplicates("prompt_id")  # the dominant answer has a row for each other language
    ended = by_name(answers["answer_finish_reason"])
    found = {"prompts": len(answers), "answers": sum(ended.values())}
    found |= {reason.value: ended.get(reason.value, 0) for reason in FinishReason}
    return found | {"empty": total(answers["answer_empty"]), "missing": len(answers) - sum(ended.values())}


def _translations(rows: DataFrame) -> dict[str, int]:
    parsed = rows["translation_parsed"]
    return {
        "prompts": len(rows),
        "translations": int(parsed.notna().sum()),
        "parsed": total(parsed),
        "unparsed": total(~parsed),
        "cut_off": total(rows["translation_finish_reason"] == FinishReason.LENGTH.value),
        "empty": total(rows["translation_empty"]),
        "tolerated": total(rows["translation_tolerated"]),
        "not_asked": int(parsed.isna().sum()),
    }


# --- the texts of pairs ----------------------------------------------------------------------------------------------


def languages(pairs: Groups) -> Figures:
    """Language identification of the texts, by language and side: judged, off target, and the languages found.

    A text that cannot be judged, mostly for too few letters, is `unknown` and never counts as off target. Sentences are
    judged singly as well (`records.code_switching`), which finds an English sentence in a Spanish text.
    """
    return {lang: {side: _identified(rows, side) for side in SIDES} for lang, rows in pairs.by_language.items()}


def _identified(rows: DataFrame, side: str) -> Figures:
    found, wrong = by_name(rows[f"{side}_lang"]), total(rows[f"{side}_off_target"])
    judged = sum(found.values())
    sentences, other = (total(rows[f"{side}_{name}"]) for name in ("sentences", "other_sentences"))
    figures: Figures = {"judged": judged, "unknown": len(rows) - judged, "off_target": wrong}
    figures |= {"off_target_share": wrong / judged} if judged else {}
    figures |= {"sentences": sentences, "other_sentences": other}
    figures |= {"other_sentences_share": other / sentences} if sentences else {}
    return figures | {"found": found}


def quality(pairs: Groups) -> Figures:
    """Counts of suspicious pairs by language and kind, and counts of markers by name.

    - Markers: what `pairs.markers` finds, anywhere in the text.
    - Repeated: the text ends in a loop (`pairs.properties`); or it has at least 20 words, and half of its word
      4-grams are repeats.
    - Refusals: the text declines to answer, in any language (`pairs.refusals`).
    - Near-identical: the similarity of chosen and rejected is at least `pairs.normalise.NEAR_IDENTICAL`. Such pairs are
      not wrong (one digit may decide), but many of them make DPO lower the likelihood of both sides.
    """
    markers = Counter(marker for side in SIDES for found in pairs.all[f"{side}_markers"].dropna() for marker in found)
    by_language = {
        lang: {"pairs": len(rows), "near_identical": total(rows["near_identical"])}
        | {side: {flag: total(flagged(rows, side, flag)) for flag in FLAGS} for side in SIDES}
        for lang, rows in pairs.by_language.items()
    }
    return {"by_language": by_language, "markers": dict(sorted(markers.items()))}


def flagged(rows: DataFrame, side: str, flag: str) -> Series:
    column = rows[f"{side}_{flag}"]
    return column.list.len() > 0 if flag == "markers" else column


# --- translations ----------------------------------------------------------------------------------------------------

_MEASURES = {
    "numbers": ("with_numbers", "numbers_kept"),
    "answer": ("with_answer", "answer_kept"),
    "exact": ("world", "exact"),
}


def fidelity(rows: Groups, settings: config.Settings) -> Figures:
    """Counts of translations by direction: all, with numbers, with the numbers or the answer kept, exact."""
    confidence = settings.audit.confidence
    return {f"{a}-{b}": _fidelity_of(rows.translated(a, b), confidence) for a, b in translation_directions(settings)}


def _fidelity_of(rows: DataFrame, confidence: float) -> Figures:
    found: Figures = {"translations": total(rows["translation_compared"])}
    shares: dict[str, float] = {}
    for name, (measured, kept) in _MEASURES.items():
        column = rows[f"translation_{kept}"]
        found |= {measured: int(column.notna().sum()), kept: total(column)}
        shares |= share(column.dropna(), rows["prompt_id"], confidence, f"{name}_share")
    return found | shares


def round_trip(rows: Groups, settings: config.Settings) -> Figures:
    """Round-trip translation by direction: answers sent, unparsed and unchanged ones, and mean chrF."""
    return {f"{a}-{b}": _round_trip_of(rows.translated(a, b), settings) for a, b in translation_directions(settings)}


def _round_trip_of(rows: DataFrame, settings: config.Settings) -> Figures:
    parsed, scores = rows["round_trip_parsed"], rows["round_trip_chrf"].dropna().to_list()
    found: Figures = {
        "n": int(parsed.notna().sum()),
        "unparsed": total(~parsed),
        "same": total(rows["round_trip_same"]),
    }
    if not scores:
        return found
    mean = mean_interval(scores, settings.audit.confidence, highest=100.0)
    return found | {"chrf": mean.estimate, "low": mean.low, "high": mean.high}
