"""Stage `alpaca`: a model's win rate against a baseline on instructions, by a judge and by language.

    $ lidr alpaca m1
    alpaca m1 against m0: win rate 71.2 on average over 7 languages, length-controlled 70.8
      en 51.0 [48.6, 53.2] · es 78.4 [75.2, 81.4] · ...

The win rate is 100 x the mean of (preference - 1): 50 means as good as the baseline. Both answers and the verdict are
in reports/alpaca/m1/verdicts.jsonl, the figures in metrics.json:

    {"es": {"win_rate": 78.4, "low": 75.2, "high": 81.4, "standard_error": 1.6, "lc_win_rate": 77.9, "lc_low": 74.5,
      "lc_high": 81.2, "wins": 0.6, "ties": 0.36, "losses": 0.04, "length": 38.2, "baseline_length": 35.1,
      "baseline_off_target": 0.2, "code_switching": 0.02, "code_switching_sentences": 512,
      "code_switching_abstained": 3, "baseline_code_switching": 0.2, ..., "off_target": 0.01, "unjudged": 0.0,
      "truncated": 0.0, "n": 250},
     ...}

With both orders there is `flips`, the share of comparisons in which the two orders name different winners; these count
as ties. A judge that is paid per token adds `judge_prompt_tokens`, `judge_completion_tokens` and `judge_cost`. Under
`average` these and n are sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev

from lidr import config, paths
from lidr.errors import InputError
from lidr.evaluation.alpaca import BASELINE, BENCHMARK, Alpaca, winner
from lidr.evaluation.alpaca.baseline import generated_answers, instructions
from lidr.evaluation.alpaca.length_controlled import length_controlled
from lidr.evaluation.answers import code_switching, key, write
from lidr.evaluation.judges import Judge, Pairwise, judge_all, open_judge
from lidr.evaluation.judges.base import FAULTS, flips, verdict
from lidr.evaluation.registry import Metrics
from lidr.evaluation.summary import summarise
from lidr.records import Prompt, Response, Verdict
from lidr.records.code_switching import Sentences, count
from lidr.records.jsonl import read_by_key
from lidr.records.langid import identify, is_off_target

Answers = Mapping[str, Response]  # by `id:lang`


def run(settings: config.Settings, model: str) -> Metrics:
    """Generate answers, judge them against the baseline's, write, and return the figures by language and on average.

    The baseline's own answers are not generated again.
    """
    items = instructions(settings)
    baseline = baseline_answers(items)
    own: Answers = baseline
    if model != settings.baseline.model:
        own = {key(answer): answer for answer in generated_answers(settings, BENCHMARK.name, model, items)}
    verdicts = judge_items(settings, open_judge(settings.block(Alpaca).judge, settings.engine), items, own, baseline)
    metrics = figures(settings, verdicts)
    write(BENCHMARK, model, verdicts, metrics)
    return metrics


def baseline_answers(items: Sequence[Prompt]) -> dict[str, Response]:
    """The baseline's answers; raises InputError if an instruction has none."""
    path = paths.baseline() / paths.ANSWERS
    baseline = read_by_key(path, Response, key)
    for item in items:
        if key(item) not in baseline:
            raise InputError(f"no answer to {item.id!r} in {item.lang!r}; run `lidr baseline`", path)
    return baseline


def judge_items(
    settings: config.Settings, judge: Judge, items: Sequence[Prompt], own: Answers, baseline: Answers
) -> list[Verdict]:
    """The verdict on each instruction, with both answers.

    Raises InputError for a language whose off-target rate cannot be measured, before any paid request.
    """
    languages = settings.block(Alpaca).languages
    identify("", "en", languages)
    comparisons = [Pairwise(item, own[key(item)].text, baseline[key(item)].text) for item in items]
    verdicts = []
    for comparison, opinion in zip(comparisons, judge_all(judge, comparisons), strict=True):
        item = comparison.instruction
        answer = own[key(item)]
        sentences = count(comparison.completion, item.lang, languages)
        baseline_sentences = count(comparison.baseline, item.lang, languages)
        about = {
            "id": item.id,
            "lang": item.lang,
            "reasoning": answer.reasoning,
            "finish_reason": answer.finish_reason,
            "off_target": is_off_target(comparison.completion, item.lang, languages),
            "baseline_off_target": is_off_target(comparison.baseline, item.lang, languages),
            "sentences": sentences.judged,
            "other_sentences": sentences.other,
            "baseline_sentences": baseline_sentences.judged,
            "baseline_other_sentences": baseline_sentences.other,
        }
        verdicts.append(verdict(comparison, opinion, **about))
    return verdicts


# --- figures ---------------------------------------------------------------------------------------------------------


def figures(settings: config.Settings, verdicts: Sequence[Verdict]) -> Metrics:
    """All figures by language and on average."""
    return summarise(BENCHMARK, settings, verdicts, lambda own: _more(settings, own))


def _more(settings: config.Settings, verdicts: Sequence[Verdict]) -> dict[str, float]:
    """The figures that only this benchmark has."""
    n, winners = len(verdicts), [winner(verdict) for verdict in verdicts]
    lengths, baseline_lengths = [len(v.completion) for v in verdicts], [len(v.baseline) for v in verdicts]
    controlled = length_controlled(
        [v.preference for v in verdicts],
        lengths,
        baseline_lengths,
        settings.compare.confidence,
        settings.seed,
        settings.compare.resamples,
    )
    baseline_sentences = [Sentences(v.baseline_sentences, v.baseline_other_sentences) for v in verdicts]
    return {
        "standard_error": standard_error([score for v in verdicts if (score := BENCHMARK.score(v)) is not None]),
        "lc_win_rate": controlled.estimate,
        "lc_low": controlled.low,
        "lc_high": controlled.high,
        "wins": winners.count(1) / n,
        "ties": winners.count(0) / n,
        "losses": winners.count(-1) / n,
        **flips(verdicts),
        "length": fmean(lengths),
        "baseline_length": fmean(baseline_lengths),
        "baseline_off_target": sum(v.baseline_off_target for v in verdicts) / n,
        **code_switching(Sentences(v.sentences, v.other_sentences) for v in verdicts),
        **{BASELINE + name: share for name, share in code_switching(baseline_sentences).items()},
        **_faults(settings.block(Alpaca).judge, verdicts),
        **expense(settings.block(Alpaca).judge, verdicts),
    }


def standard_error(values: Sequence[float]) -> float:
    """The standard error of the mean; 0 for a single value, of which it is unknown."""
    return stdev(values) / sqrt(len(values)) if len(values) > 1 else 0.0


def _faults(judge: config.Judge, verdicts: Sequence[Verdict]) -> dict[str, float]:
    """The share of a text judge's replies without a verdict, by reason.

    Empty if it was never asked: the model is the baseline.
    """
    asked = [verdict for verdict in verdicts if verdict.completion != verdict.baseline]
    if not (isinstance(judge, config.OpenAIJudge) and judge.reply == "text" and asked):
        return {}
    replies = (2 if judge.in_both_orders else 1) * len(asked)
    return {f"judge_{fault}": sum(v.judge_faults.count(fault) for v in asked) / replies for fault in FAULTS}


def expense(judge: config.Judge, verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Tokens of all verdicts, cached ones included, and their cost at the prices of params.yaml."""
    if not isinstance(judge, config.OpenAIJudge):
        return {}
    prompt = sum(v.judge_prompt_tokens for v in verdicts)
    completion = sum(v.judge_completion_tokens for v in verdicts)
    tokens: dict[str, float] = {"judge_prompt_tokens": prompt, "judge_completion_tokens": completion}
    if judge.prompt_price is None or judge.completion_price is None:
        return tokens
    return {**tokens, "judge_cost": (prompt * judge.prompt_price + completion * judge.completion_price) / 1e6}
