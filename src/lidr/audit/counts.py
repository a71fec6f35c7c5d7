"""How many rows each step made of the one before, and why pairs were dropped, in numbers that add up.

    >>> figures(frame, settings)["by_direction"]["es:en"]
    {'prompts': 300, 'pairs': 262, 'drops': 38, 'identical': 30, 'truncated': 8}

For every direction, prompts = pairs + drops, and drops = the sum of their reasons: `examples` has checked it prompt by
prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit.examples import pair_directions, translation_directions
from lidr.audit.facts import DROP, PAIR, columns, within
from lidr.pairs.filters import reasons as all_reasons
from lidr.records import FinishReason

if TYPE_CHECKING:
    from pandas import DataFrame


def figures(frame: DataFrame, settings: config.Settings) -> dict[str, Any]:
    """All counts, by reason, rule, language and direction, and those of answers and translations."""
    frame = columns(frame, "outcome", "rule", "reason", "gold", "answer_", "translation_")
    directions = pair_directions(settings)
    whole = _pairs_and_drops(frame)
    rules = frame["rule"].value_counts().to_dict()
    prompts = len(frame) // len(directions)
    return {
        "prompts": prompts,
        "prompts_with_gold": int(frame.loc[frame["gold"].notna(), "prompt_id"].nunique()),
        "directions": len(directions),
        "pairs": whole.pop("pairs"),
        "drops": whole.pop("drops"),
        "by_reason": {reason: count for reason, count in whole.items() if reason != "prompts"},
        "by_rule": {rule: rules[rule] for rule in sorted(rules)},
        "by_language": {lang: _pairs_and_drops(within(frame, lang)) for lang in settings.all_languages},
        "by_direction": {f"{a}:{b}": _pairs_and_drops(within(frame, a, b)) for a, b in directions},
        "answers": {lang: _answers(within(frame, lang)) for lang in settings.all_languages},
        "translations": {f"{a}-{b}": _translations(within(frame, b, a)) for a, b in translation_directions(settings)},
    }


def _pairs_and_drops(rows: DataFrame) -> dict[str, int]:
    """Prompts x directions, pairs, drops, and the drops by reason."""
    outcomes, reasons = rows["outcome"].value_counts(), rows["reason"].value_counts()
    counts = {"prompts": len(rows), "pairs": int(outcomes.get(PAIR, 0)), "drops": int(outcomes.get(DROP, 0))}
    return counts | {reason: int(reasons[reason]) for reason in all_reasons() if reason in reasons.index}


def _answers(rows: DataFrame) -> dict[str, int]:
    # The dominant answer stands in a row for each other language.
    answers = rows.drop_duplicates("prompt_id")
    ended = answers["answer_finish_reason"].value_counts()
    counts = {"prompts": len(answers), "answers": int(ended.sum())}
    counts |= {reason.value: int(ended.get(reason.value, 0)) for reason in FinishReason}
    return counts | {
        "empty": int(answers["answer_empty"].sum()),
        "missing": int(answers["answer_finish_reason"].isna().sum()),
    }


def _translations(rows: DataFrame) -> dict[str, int]:
    parsed = rows["translation_parsed"]
    return {
        "prompts": len(rows),
        "translations": int(parsed.notna().sum()),
        "parsed": int(parsed.sum()),
        "unparsed": int((~parsed).sum()),
        "cut_off": int((rows["translation_finish_reason"] == FinishReason.LENGTH.value).sum()),
        "empty": int(rows["translation_empty"].sum()),
        "tolerated": int(rows["translation_tolerated"].sum()),
        "not_asked": int(parsed.isna().sum()),
    }
