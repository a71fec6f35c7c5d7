"""Stage `mgsm`: a model's accuracy on grade-school problems, by language.

    $ lidr mgsm m1
    mgsm m1: accuracy 0.81 [0.79, 0.83] over 7 languages, n = 1,750
      en 0.94 [0.90, 0.96] · es 0.84 [0.79, 0.88] · ...

Answers are generated greedily and kept with each scorer's verdict in reports/mgsm/m1/answers.jsonl; metrics.json beside
it holds the figures of each language and their plain average.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from lidr import config, paths, policy
from lidr.engines.base import Completion
from lidr.engines.shards import discard
from lidr.evals.answers import Metrics, ask, key, lab_items, rounded
from lidr.evals.numbers import score
from lidr.evals.statistics import wilson
from lidr.jsonl import write_json, write_rows
from lidr.langid import is_off_target
from lidr.records import Answer, FinishReason, Prompt

STAGE = "mgsm"


def run(settings: config.Settings, model: str) -> Metrics:
    """Ask, score and write; returns the figures by language, and their average under `average`."""
    problems = lab_items("problems", settings.mgsm.languages, settings.mgsm.items, settings.seed)
    completions = ask(
        settings,
        policy.resolve(model),
        STAGE,
        problems,
        settings.mgsm.max_new_tokens,
        settings.mgsm.repetition_penalty,
    )
    answers = [judge(problem, completions[key(problem)], settings.mgsm.languages) for problem in problems]
    metrics = summarise(answers, settings.mgsm.languages)
    folder = paths.mgsm(model)
    write_rows(folder / paths.ANSWERS, answers)
    write_json(folder / paths.METRICS, metrics)
    discard(paths.shards(STAGE, model))
    return metrics


def judge(problem: Prompt, completion: Completion, languages: Sequence[str]) -> Answer:
    """One answer with the verdicts of all scorers and of language identification."""
    scores = score(completion.text, int(str(problem.answer)), problem.lang)
    return Answer(
        id=problem.id,
        lang=problem.lang,
        prompt=problem.text,
        completion=completion.text,
        finish_reason=completion.finish_reason,
        gold=str(problem.answer),
        right=scores.robust,
        strict=scores.lm_eval_strict,
        flexible=scores.lm_eval_flexible,
        parsed=scores.parsed,
        off_target=is_off_target(completion.text, problem.lang, languages),
    )


def summarise(answers: Sequence[Answer], languages: Sequence[str]) -> Metrics:
    """Accuracy with its Wilson interval, the other scorers and the counts, by language and on average."""
    metrics = {lang: _figures([a for a in answers if a.lang == lang]) for lang in languages}
    figures: dict[str, Any] = {
        name: fmean(by_name[name] for by_name in metrics.values())
        for name in ("accuracy", "accuracy_strict", "accuracy_flexible", "off_target", "unparseable", "truncated")
    }
    return metrics | {"average": rounded(figures | {"n": len(answers)})}


def _figures(answers: Sequence[Answer]) -> dict[str, float]:
    n = len(answers)
    accuracy = wilson(sum(a.right for a in answers), n)
    return rounded(
        {
            "accuracy": accuracy.estimate,
            "low": accuracy.low,
            "high": accuracy.high,
            "accuracy_strict": sum(a.strict for a in answers) / n,
            "accuracy_flexible": sum(a.flexible for a in answers) / n,
            "off_target": sum(a.off_target for a in answers) / n,
            "unparseable": sum(not a.parsed for a in answers) / n,
            "truncated": sum(a.finish_reason is FinishReason.LENGTH for a in answers) / n,
            "n": n,
        }
    )
