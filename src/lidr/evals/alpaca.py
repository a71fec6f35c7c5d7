"""Stage `alpaca`: a model's win rate on instructions against a baseline, as a judge sees it, by language.

    $ lidr alpaca m1
    alpaca m1 against m0: win rate 71.2 [68.9, 73.4] over 7 languages, n = 1,750
      en 51.0 [48.6, 53.2] · es 78.4 [75.2, 81.4] · ...

The win rate is 100 x the mean of (preference - 1): 50 where the model is as good as the baseline. Both answers and the
verdict are kept in reports/alpaca/m1/verdicts.jsonl, the figures in metrics.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from lidr import config, paths, policy
from lidr.engines.shards import discard
from lidr.errors import InputError
from lidr.evals.answers import Metrics, ask, key, rounded
from lidr.evals.baseline import instructions
from lidr.evals.judge import TIE, Judge, compare_answers, open_judge
from lidr.evals.statistics import mean_interval
from lidr.jsonl import read_by_key, write_json, write_rows
from lidr.langid import is_off_target
from lidr.records import FinishReason, Prompt, Response, Verdict

STAGE = "alpaca"


def run(settings: config.Settings, model: str) -> Metrics:
    """Answer, judge against the baseline's answers and write; returns the figures by language and on average."""
    items = instructions(settings)
    baseline_file = paths.baseline() / paths.ANSWERS
    baseline = read_by_key(baseline_file, Response, key=lambda row: f"{row.id}:{row.lang}")
    for item in items:
        if key(item) not in baseline:
            raise InputError(f"no answer to {item.id!r} in {item.lang!r}; run `lidr baseline`", baseline_file)
    own = _answers(settings, model, items, baseline)
    judge = open_judge(settings.alpaca.judge)
    verdicts = [verdict(judge, item, own[key(item)], baseline[key(item)], settings.alpaca.languages) for item in items]
    metrics = summarise(verdicts, settings.alpaca.languages, settings.compare, settings.seed)
    folder = paths.alpaca(model)
    write_rows(folder / paths.VERDICTS, verdicts)
    write_json(folder / paths.METRICS, metrics)
    discard(paths.shards(STAGE, model))
    return metrics


def verdict(judge: Judge, item: Prompt, own: Response, baseline: Response, languages: Sequence[str]) -> Verdict:
    """One instruction, both answers, and the judge's preference."""
    return Verdict(
        id=item.id,
        lang=item.lang,
        prompt=item.text,
        completion=own.text,
        baseline=baseline.text,
        preference=compare_answers(judge, item, own.text, baseline.text),
        finish_reason=own.finish_reason,
        off_target=is_off_target(own.text, item.lang, languages),
        baseline_off_target=is_off_target(baseline.text, item.lang, languages),
    )


def summarise(verdicts: Sequence[Verdict], languages: Sequence[str], compare: config.Compare, seed: int) -> Metrics:
    """Win rate with its bootstrap interval, wins, ties and losses, by language and on average."""
    metrics = {lang: _figures([v for v in verdicts if v.lang == lang], compare, seed) for lang in languages}
    figures: dict[str, Any] = {
        name: fmean(by_name[name] for by_name in metrics.values())
        for name in ("win_rate", "wins", "ties", "losses", "off_target", "baseline_off_target", "truncated", "unjudged")
    }
    return metrics | {"average": rounded(figures | {"n": len(verdicts)})}


def _answers(
    settings: config.Settings, model: str, items: Sequence[Prompt], baseline: dict[Any, Response]
) -> dict[str, Response]:
    """The model's answers by `id:lang`; the baseline's own are not generated a second time."""
    if model == settings.baseline.model:
        return {key(item): baseline[key(item)] for item in items}
    completions = ask(
        settings,
        policy.resolve(model),
        STAGE,
        items,
        settings.alpaca.max_new_tokens,
        settings.alpaca.repetition_penalty,
    )
    return {
        key(item): Response(
            id=item.id,
            lang=item.lang,
            text=completion.text,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
        )
        for item in items
        for completion in [completions[key(item)]]
    }


def _figures(verdicts: Sequence[Verdict], compare: config.Compare, seed: int) -> dict[str, float]:
    preferences = [v.preference for v in verdicts if v.preference is not None]
    n = len(verdicts)
    interval = mean_interval([100 * (p - 1) for p in preferences], confidence=compare.confidence, seed=seed)
    return rounded(
        {
            "win_rate": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "wins": sum(p > TIE for p in preferences) / n,
            "ties": sum(p == TIE for p in preferences) / n,
            "losses": sum(p < TIE for p in preferences) / n,
            "off_target": sum(v.off_target for v in verdicts) / n,
            "baseline_off_target": sum(v.baseline_off_target for v in verdicts) / n,
            "truncated": sum(v.finish_reason is FinishReason.LENGTH for v in verdicts) / n,
            "unjudged": (n - len(preferences)) / n,
            "n": n,
        }
    )
