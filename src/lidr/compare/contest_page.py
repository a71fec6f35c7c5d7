"""A contest as one HTML page (templates/contest.html): its figures, and every row with both answers to browse.

    >>> html(settings, "m2", "m1", metrics, verdicts)[:15]
    '<!doctype html>'

    reports/judged/m2-against-m1/index.html#outcome=lost&lang=es      the rows that m2 lost in Spanish

No row is left out: the page says how many it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lidr import config
from lidr.evaluation.alpaca import BENCHMARK, Alpaca
from lidr.evaluation.alpaca.stage import outcome
from lidr.evaluation.judges.base import is_flipped
from lidr.evaluation.registry import AVERAGE, Metrics
from lidr.evaluation.statistics import Interval, macro_interval
from lidr.pages import browsable, render
from lidr.records import FinishReason, Verdict
from lidr.records.languages import english_name

OUTCOMES = {1: "won", 0: "tied", -1: "lost", None: "not judged"}


def html(settings: config.Settings, model: str, other: str, metrics: Metrics, verdicts: Sequence[Verdict]) -> str:
    """The page of `model` against `other`; `metrics` are those of `lidr.evaluation.alpaca.stage.summarise`."""
    places = [lang for lang in metrics if lang != AVERAGE]
    return render(
        "contest.html",
        model=model,
        other=other,
        profile=settings.profile,
        tiles=_tiles(settings, metrics, verdicts),
        heading=_heading(metrics[places[0]], model, other),
        rows=[_row(place, metrics[place]) for place in (places if len(places) == 1 else [*places, AVERAGE])],
        facts=_facts(settings, metrics),
        orders=settings.block(Alpaca).judge.in_both_orders,
        confidence=f"{settings.compare.confidence:.0%}",
        browse=browsable([_entry(verdict, model, other) for verdict in verdicts], "rows"),
    )


def average_interval(settings: config.Settings, verdicts: Sequence[Verdict]) -> Interval | None:
    """The win rate's average over languages, from the items judged in all of them; None where there is no such item."""
    scores: dict[str, dict[str, float]] = {lang: {} for lang in settings.block(Alpaca).languages}
    for verdict in verdicts:
        score = BENCHMARK.score(verdict)
        if score is not None:
            scores[verdict.lang][verdict.id] = score
    shared = set.intersection(*(set(by_id) for by_id in scores.values()))
    if not shared:
        return None
    values = {lang: {item: score for item, score in by_id.items() if item in shared} for lang, by_id in scores.items()}
    return macro_interval(values, settings.compare.confidence, settings.seed, settings.compare.resamples)


# --- figures ---------------------------------------------------------------------------------------------------------


def _tiles(settings: config.Settings, metrics: Metrics, verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """(number, what it is) of what matters most."""
    figures = metrics[AVERAGE]
    first, *others = [by_name for lang, by_name in metrics.items() if lang != AVERAGE]
    plain, controlled, where = _bounds(first["low"], first["high"]), _bounds(first["lc_low"], first["lc_high"]), ""
    if others:
        interval = average_interval(settings, verdicts)
        plain = "(no interval: no row is judged in all languages)"
        if interval is not None:
            plain = f"{_bounds(interval.low, interval.high)}, n = {interval.n}"
        controlled, where = "(intervals by language below)", f", average of {1 + len(others)} languages"
    shares = " / ".join(f"{100 * figures[name]:.1f}" for name in ("wins", "ties", "losses"))
    return [
        (f"{figures['win_rate']:.1f}", f"win rate {plain}{where}"),
        (f"{figures['lc_win_rate']:.1f}", f"length-controlled win rate {controlled}{where}"),
        (shares, "won / tied / lost, in %"),
        (f"{len(verdicts):,}", f"rows, {sum(v.preference is None for v in verdicts):,} of them not judged"),
    ]


def _bounds(low: float, high: float) -> str:
    return f"[{low:.1f}, {high:.1f}]"


def _heading(figures: dict[str, float], model: str, other: str) -> list[str]:
    flips = ["orders disagree %"] if "flips" in figures else []
    shares = ["won %", "tied %", "lost %", *flips, f"{model} off target %", f"{other} off target %"]
    lengths = [f"{model}, characters", f"{other}, characters"]
    return ["language", "win rate", "length-controlled", *shares, "truncated %", "not judged %", *lengths, "n"]


def _row(place: str, figures: dict[str, float]) -> list[str]:
    shares = [name for name in _SHARES if name in figures]
    return [
        place if place == AVERAGE else f"{place} {english_name(place)}",
        _rate(figures, "win_rate", "low", "high"),
        _rate(figures, "lc_win_rate", "lc_low", "lc_high"),
        *(f"{100 * figures[name]:.1f}" for name in shares),
        f"{figures['length']:,.0f}",
        f"{figures['baseline_length']:,.0f}",
        f"{figures['n']:,}",
    ]


_SHARES = ("wins", "ties", "losses", "flips", "off_target", "baseline_off_target", "truncated", "unjudged")


def _rate(figures: dict[str, float], name: str, low: str, high: str) -> str:
    bounds = f" {_bounds(figures[low], figures[high])}" if low in figures else ""
    return f"{figures[name]:.1f}{bounds}"


def _facts(settings: config.Settings, metrics: Metrics) -> list[tuple[str, str]]:
    judge = settings.block(Alpaca).judge
    named = [("model of the judge", judge.model)] if not isinstance(judge, config.LabJudge) else []
    asked = [("endpoint", judge.endpoint)] if isinstance(judge, config.OpenAIJudge) else []
    facts = [("judge", judge.name), *named, *asked, ("instructions", settings.block(Alpaca).source)]
    spent = metrics[AVERAGE]
    if "judge_prompt_tokens" in spent:
        tokens = f"{spent['judge_prompt_tokens']:,} in, {spent['judge_completion_tokens']:,} out"
        facts.append(("tokens of the judge", tokens))
    if "judge_cost" in spent:
        facts.append(("cost at the prices of params.yaml", f"{spent['judge_cost']:,.2f}"))
    return facts


# --- rows ------------------------------------------------------------------------------------------------------------


def _entry(verdict: Verdict, model: str, other: str) -> dict[str, Any]:
    result = outcome(verdict)
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
    """What is worth a look in a row, in words."""
    found = [f"{model}: off target"] * verdict.off_target
    found += [f"{other}: off target"] * verdict.baseline_off_target
    found += [f"{model}: truncated"] * (verdict.finish_reason is FinishReason.LENGTH)
    found += ["the same text"] * (verdict.completion == verdict.baseline)
    return found + ["orders disagree"] * is_flipped(verdict.orders)


def _chips(verdict: Verdict, result: int | None, model: str, other: str) -> list[tuple[str, str]]:
    """(text, tone) of what stands beside a row's id."""
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
