"""An audit's results: the figures, the warnings, and the facts table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit import lengths, reward
from lidr.audit.contamination import Overlap
from lidr.audit.sample import Entry
from lidr.records import Verdict

if TYPE_CHECKING:
    from pyarrow import Table

# Least share of chosen answers with a fault that is worth a warning.
WORTH_A_WARNING = 0.05
# Least mean difference in length, as a share of the rejected answers', that is worth a warning.
LENGTH_MARGIN = 0.10


@dataclass(frozen=True)
class Report:
    """One iteration's audit; `facts` is the table that all of it is made from, which `facts.COLUMNS` documents."""

    iteration: str
    settings: config.Settings
    figures: dict[str, Any]
    previous: dict[str, Any] | None
    recommendation: str
    warnings: list[str]
    overlaps: list[Overlap]
    pairs: list[Entry]
    drops: list[Entry]
    verdicts: list[Verdict]
    facts: Table


def warnings(settings: config.Settings, figures: dict[str, Any], unsupported: tuple[str, ...]) -> list[str]:
    """One line for each finding that should not go unread."""
    found = [] if figures["counts"]["pairs"] else ["there are no pairs"]
    found += [*reward.disagreement(figures), *bias_warning(figures["lengths"]["drops"])]
    for lang in settings.all_languages:
        found += [f"in {lang}, {what}" for what in _in_language(lang, figures)]
    for name, evaluation in figures["contamination"].items():
        for kind, where in (("prompt", "training prompts"), ("chosen", "chosen answers")):
            if evaluation[kind]["near"]:
                found.append(f"{evaluation[kind]['near']:,} items of {name} are nearly or exactly among the {where}")
    return found + [f"the language of texts in {lang} was not identified: py3langid lacks it" for lang in unsupported]


def bias_warning(figures: dict[str, Any]) -> list[str]:
    """A line where drops favour short or long answers, clearly and by more than `lengths.SMALLEST_BIAS`."""
    bias = figures.get("bias")
    if bias is None or bias["low"] <= 0 <= bias["high"] or abs(bias["difference"]) < lengths.SMALLEST_BIAS:
        return []
    quarters = list(figures["quarters"].values())
    shortest, longest = quarters[0]["failed"], quarters[-1]["failed"]
    kept = "short" if longest > shortest else "long"
    return [
        f"drops bias the pairs towards {kept} answers: {longest:.1%} failed where the dominant answer is longest, "
        f"{shortest:.1%} where it is shortest"
    ]


def _in_language(lang: str, figures: dict[str, Any]) -> Iterator[str]:
    by_side = figures["lengths"]["by_language"][lang]
    if rejected := by_side["rejected"].get("mean"):
        relative = by_side["difference"]["mean"] / rejected
        if abs(relative) >= LENGTH_MARGIN:
            word = "longer" if relative > 0 else "shorter"
            yield f"chosen answers are {abs(relative):.0%} {word} than rejected ones: length may be learned"
    off_target = figures["languages"][lang]["chosen"].get("off_target_share", 0.0)
    if off_target > WORTH_A_WARNING:
        yield f"{off_target:.1%} of chosen answers are in another language"
    quality = figures["quality"]["by_language"][lang]
    if quality["chosen"]["markers"]:
        yield f"{quality['chosen']['markers']:,} chosen answers hold leftover markers"
    for flag, words in (("repeated", "repeat themselves"), ("refusal", "are refusals")):
        share = quality["chosen"][flag] / max(quality["pairs"], 1)
        if share > WORTH_A_WARNING:
            yield f"{share:.1%} of chosen answers {words}"
