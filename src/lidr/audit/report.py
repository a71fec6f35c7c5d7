"""What an audit found, as data: the figures, what they warn of, and the rows to look at.

>>> report.figures["counts"]["pairs"], report.recommendation
(2214, 'Go on: counting each prompt once, the chosen side is better for 241 prompts and worse for 12.')
>>> report.warnings
['drops bias the pairs towards short answers: ...']
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit import lengths
from lidr.audit.contamination import Overlap
from lidr.audit.sample import Entry

if TYPE_CHECKING:
    from pyarrow import Table

# A share of chosen answers from which on something wrong with them is worth a warning.
WORTH_A_WARNING = 0.05
# Of the length of rejected answers: by so much may chosen ones differ on average before a warning.
LENGTH_MARGIN = 0.10


@dataclass(frozen=True)
class Report:
    """One iteration's audit. `histograms` are lengths in characters by (language, side), for the plot.

    `facts` is the table that all of it is made from; `facts.COLUMNS` documents it.
    """

    iteration: str
    settings: config.Settings
    figures: dict[str, Any]
    previous: dict[str, Any] | None
    recommendation: str
    warnings: list[str]
    overlaps: list[Overlap]
    histograms: dict[tuple[str, str], lengths.Histogram]
    pairs: list[Entry]
    drops: list[Entry]
    facts: Table


def warnings(settings: config.Settings, figures: dict[str, Any], unsupported: tuple[str, ...]) -> list[str]:
    """One line for each finding that should not go unread."""
    found = [] if figures["counts"]["pairs"] else ["there are no pairs"]
    bias = lengths.bias_warning(figures["lengths"]["drops"])
    found += [bias] if bias else []
    for lang in settings.all_languages:
        found += _length_warnings(lang, figures["lengths"]["by_language"][lang])
        found += _language_warnings(lang, figures["languages"][lang])
        found += _quality_warnings(lang, figures["quality"]["by_language"][lang])
    for name, evaluation in figures["contamination"].items():
        for kind, where in (("prompt", "training prompts"), ("chosen", "chosen answers")):
            if evaluation[kind]["near"]:
                found.append(f"{evaluation[kind]['near']:,} items of {name} are nearly or exactly among the {where}")
    return found + [f"the language of texts in {lang} was not identified: py3langid lacks it" for lang in unsupported]


def _length_warnings(lang: str, by_side: dict[str, Any]) -> list[str]:
    if not by_side["rejected"].get("mean"):
        return []
    relative = by_side["difference"]["mean"] / by_side["rejected"]["mean"]
    if abs(relative) < LENGTH_MARGIN:
        return []
    word = "longer" if relative > 0 else "shorter"
    return [f"in {lang}, chosen answers are {abs(relative):.0%} {word} than rejected ones: length may be learned"]


def _language_warnings(lang: str, by_side: dict[str, Any]) -> list[str]:
    chosen = by_side["chosen"].get("off_target_share", 0.0)
    return [f"in {lang}, {chosen:.1%} of chosen answers are in another language"] if chosen > WORTH_A_WARNING else []


def _quality_warnings(lang: str, quality: dict[str, Any]) -> list[str]:
    found = []
    pairs = max(quality["pairs"], 1)
    if quality["chosen"]["markers"]:
        found.append(f"in {lang}, {quality['chosen']['markers']:,} chosen answers hold leftover markers")
    for flag, words in (("repeated", "repeat themselves"), ("refusal", "are refusals")):
        if quality["chosen"][flag] / pairs > WORTH_A_WARNING:
            found.append(f"in {lang}, {quality['chosen'][flag] / pairs:.1%} of chosen answers {words}")
    return found


def rounded(value: Any) -> Any:
    """Figures to six digits: what is kept must not depend on the last bits of a float."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, 6) + 0.0 if isinstance(value, float) else value
