"""Contests outside the pipeline: two of its models against each other, or a published model against the baseline.

    $ lidr alpaca m2 --against m1
    alpaca m2 against m1, both orders: win rate 58.1 on average over 7 languages, length-controlled 57.9
      en 50.8: 10.4% wins, 81.2% ties, 8.4% losses · ...

    reports/judged/m2-against-m1/{verdicts.jsonl,metrics.json}

The two models' answers are those that `lidr alpaca` kept. The folder is none of reports/alpaca, on which the stage
`compare` depends: looking at two models does not make the pipeline out of date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from lidr import config, paths
from lidr.errors import InputError
from lidr.evals.alpaca import Answers, baseline_answers, judge_items, summarise
from lidr.evals.answers import Metrics, key
from lidr.evals.baseline import instructions, published_answers
from lidr.evals.judges import open_judge
from lidr.jsonl import read_by_key, write_json, write_rows
from lidr.records import Prompt, Response, Verdict


def against(settings: config.Settings, model: str, other: str) -> Metrics:
    """Judge a model's kept answers against another model's, in both orders."""
    if model == other:
        raise InputError(f"{model!r} against itself; two models are expected")
    items = instructions(settings)
    judge = replace(settings.alpaca.judge, both_orders=True)
    settings = replace(settings, alpaca=replace(settings.alpaca, judge=judge))
    return _judge(settings, items, model, _kept(model, items), other, _kept(other, items))


def published(settings: config.Settings, generator: str, folder: Path) -> Metrics:
    """Judge a generator's published answers against the baseline's."""
    if not re.fullmatch(r"\w[\w.+-]*", generator):
        raise InputError(f"{generator!r} cannot be the name of a folder; letters, digits and . + - _ are expected")
    items = instructions(settings)
    own = {f"{row.id}:{row.lang}": row for row in published_answers(settings, items, folder, generator)}
    return _judge(settings, items, generator, own, settings.baseline.model, baseline_answers(items))


def _judge(
    settings: config.Settings, items: Sequence[Prompt], model: str, own: Answers, other: str, theirs: Answers
) -> Metrics:
    verdicts = judge_items(settings, open_judge(settings), items, own, theirs)
    metrics = summarise(settings, verdicts)
    folder = paths.judged(model, other)
    write_rows(folder / paths.VERDICTS, verdicts)
    write_json(folder / paths.METRICS, metrics)
    return metrics


def _kept(model: str, items: Sequence[Prompt]) -> dict[str, Response]:
    """The model's answers from its own verdicts."""
    path = paths.alpaca(model) / paths.VERDICTS
    rows = read_by_key(path, Verdict, key=lambda row: f"{row.id}:{row.lang}")
    for item in items:
        if key(item) not in rows or rows[key(item)].prompt != item.text:
            raise InputError(f"no answer to {item.id!r} in {item.lang!r} as it is now; run `lidr alpaca {model}`", path)
    return {
        name: Response(
            id=row.id,
            lang=row.lang,
            text=row.completion,
            finish_reason=row.finish_reason,
            prompt_tokens=0,
            completion_tokens=0,
        )
        for name, row in rows.items()
    }
