"""A pairwise comparison as one HTML page (templates/pairwise.html): its figures, and all rows with both answers.

reports/judged/m2-against-m1/index.html#outcome=lost&lang=es      the rows that m2 lost in Spanish
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lidr import config
from lidr.evaluation.alpaca import BENCHMARK, Alpaca, winner
from lidr.evaluation.judges.base import is_flipped
from lidr.evaluation.registry import Metrics
from lidr.evaluation.statistics import Interval, macro_interval
from lidr.pages import browsable, render
from lidr.records import FinishReason, Verdict
from lidr.records.languages import english_name

OUTCOMES = {1: "won", 0: "tied", -1: "lost", None: "not judged"}


def html(settings: config.Settings, model: str, other: str, metrics: Metrics, verdicts: Sequence[Verdict]) -> str:
    """The page of `model` against `other`; `metrics` are those of `lidr.evaluation.alpaca.stage.figures`."""
    return render(
        "pairwise.html",
        filters={"english_name": english_name},
        model=model,
        other=other,
        profile=settings.profile,
        metrics=metrics,
        interval=average_interval(settings, verdicts),
        unjudged=sum(verdict.preference is None for verdict in verdicts),
        judge=settings.block(Alpaca).judge,
        instructions=settings.block(Alpaca).source,
        confidence=f"{settings.compare.confidence:.0%}",
        resamples=f"{settings.compare.resamples:,}",
        browse=browsable([_entry(verdict, model, other) for verdict in verdicts], "rows"),
    )


def average_interval(settings: config.Settings, verdicts: Sequence[Verdict]) -> Interval:
    """The average win rate over languages with its interval, over judged rows."""
    scores: dict[str, dict[str, float]] = {lang: {} for lang in settings.block(Alpaca).languages}
    for verdict in verdicts:
        score = BENCHMARK.score(verdict)
        if score is not None:
            scores[verdict.lang][verdict.id] = score
    return macro_interval(scores, settings.compare.confidence, BENCHMARK.highest)


def _entry(verdict: Verdict, model: str, other: str) -> dict[str, Any]:
    result = winner(verdict)
    first, second = (model, other) if verdict.swapped else (other, model)
    return {
        "id": f"{verdict.id}:{verdict.lang}",
        "lang": verdict.lang,
        "outcome": OUTCOMES[result],
        "notes": notes(verdict, model, other),
        "chips": _chips(verdict, result, model, other),
        "source": "" if verdict.completion == verdict.baseline else f"asked with {first}'s answer first",
        "detail": _orders(verdict, first, second),
        "prompts": [_pane("instruction", "", verdict.prompt, verdict.lang, "prompt")],
        "panes": [
            _pane(model, _about(verdict.completion), verdict.completion, verdict.lang, _role(result, 1)),
            _pane(other, _about(verdict.baseline), verdict.baseline, verdict.lang, _role(result, -1)),
        ],
    }


def notes(verdict: Verdict, model: str, other: str) -> list[str]:
    """Remarks on a row, by which the page filters."""
    found = [f"{model}: off target"] * verdict.off_target
    found += [f"{other}: off target"] * verdict.baseline_off_target
    found += [f"{model}: truncated"] * (verdict.finish_reason is FinishReason.LENGTH)
    found += ["the same text"] * (verdict.completion == verdict.baseline)
    return found + ["orders disagree"] * is_flipped(verdict.orders)


def _chips(verdict: Verdict, result: int | None, model: str, other: str) -> list[tuple[str, str]]:
    """The chips beside a row's id: (text, tone)."""
    tone = {1: "better", 0: "", -1: "worse", None: "worse"}[result]
    chips = [(_said(verdict, result, model, other), tone), (verdict.lang, "")]
    if verdict.preference is not None:
        chips.append((f"preference {verdict.preference:.3f}", ""))
    return chips + [(note, "worse") for note in notes(verdict, model, other)]


def _said(verdict: Verdict, result: int | None, model: str, other: str) -> str:
    if verdict.completion == verdict.baseline:
        return "a tie: not put before the judge"
    return {1: f"{model} wins", 0: "a tie", -1: f"{other} wins", None: "the judge gave no verdict"}[result]


def _orders(verdict: Verdict, first: str, second: str) -> str:
    if not verdict.orders:
        return ""
    said = ["no verdict" if preference is None else f"{preference:.3f}" for preference in verdict.orders]
    return f"preference with {first}'s answer first: {said[0]}; with {second}'s first: {said[1]}"


def _role(result: int | None, won: int) -> str:
    return "provenance" if not result else "chosen" if result == won else "rejected"


def _about(text: str) -> str:
    return f"{len(text):,} characters"


def _pane(title: str, source: str, text: str, lang: str, role: str) -> dict[str, Any]:
    return {"title": title, "source": source, "text": text, "lang": lang, "role": role, "right": None}
