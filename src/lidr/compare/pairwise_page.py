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
    result, same = winner(verdict), verdict.completion == verdict.baseline
    first, second = (model, other) if verdict.swapped else (other, model)
    remarks = notes(verdict, model, other)
    said = {1: f"{model} wins", 0: "a tie", -1: f"{other} wins", None: "the judge gave no verdict"}[result]
    tone = {1: "better", 0: "", -1: "worse", None: "worse"}[result]
    chips = [("a tie: not put before the judge" if same else said, tone), (verdict.lang, "")]
    if verdict.preference is not None:
        chips.append((f"preference {verdict.preference:.3f}", ""))
    orders = ["no verdict" if preference is None else f"{preference:.3f}" for preference in verdict.orders]
    detail = "preference with {}'s answer first: {}; with {}'s first: {}"
    roles = {1: ("chosen", "rejected"), -1: ("rejected", "chosen")}.get(result or 0, ("provenance", "provenance"))
    return {
        "id": f"{verdict.id}:{verdict.lang}",
        "lang": verdict.lang,
        "outcome": OUTCOMES[result],
        "notes": remarks,
        "chips": chips + [(remark, "worse") for remark in remarks],
        "source": "" if same else f"asked with {first}'s answer first",
        "detail": detail.format(first, orders[0], second, orders[1]) if orders else "",
        "prompts": [_pane("instruction", "", verdict.prompt, verdict.lang, "prompt")],
        "panes": [
            _pane(name, f"{len(text):,} characters", text, verdict.lang, role)
            for name, text, role in zip((model, other), (verdict.completion, verdict.baseline), roles, strict=True)
        ],
    }


def notes(verdict: Verdict, model: str, other: str) -> list[str]:
    """Remarks on a row, by which the page filters."""
    remarks = {
        f"{model}: off target": verdict.off_target,
        f"{other}: off target": verdict.baseline_off_target,
        f"{model}: truncated": verdict.finish_reason is FinishReason.LENGTH,
        "the same text": verdict.completion == verdict.baseline,
        "orders disagree": is_flipped(verdict.orders),
    }
    return [remark for remark, holds in remarks.items() if holds]


def _pane(title: str, source: str, text: str, lang: str, role: str) -> dict[str, Any]:
    return {"title": title, "source": source, "text": text, "lang": lang, "role": role, "right": None}
