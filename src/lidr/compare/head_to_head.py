"""Pairwise comparisons outside the pipeline: two of its models, or a published model and the baseline.

    $ lidr alpaca m2 --against m1
    alpaca m2 against m1: win rate 58.1 on average over 7 languages, length-controlled 57.9
      en 50.8 [49.2, 52.4] · wins 10.4% · ties 81.2% · losses 8.4% · n = 250
      ...

    reports/judged/m2-against-m1/{verdicts.jsonl,metrics.json,index.html}

Two models of the pipeline are judged in both orders, on the answers that `lidr alpaca` kept. For published outputs
`alpaca.judge.both_orders` decides. The folder is outside reports/alpaca, on which the stage `compare` depends: a
comparison here must not make the pipeline out of date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from lidr import config, paths
from lidr.compare.pairwise_page import html
from lidr.errors import InputError
from lidr.evaluation.alpaca import BENCHMARK, Alpaca
from lidr.evaluation.alpaca.baseline import instructions, published_answers
from lidr.evaluation.alpaca.stage import Answers, baseline_answers, figures, judge_items
from lidr.evaluation.answers import key
from lidr.evaluation.judges import open_judge
from lidr.evaluation.registry import Metrics
from lidr.records import Prompt, Response, Verdict
from lidr.records.jsonl import atomic_folder, read_by_key, write_json, write_rows, write_text


@dataclass(frozen=True)
class HeadToHead:
    """Two models' answers to the same instructions, by `id:lang`; `inputs` are the files of the answers."""

    settings: config.Settings
    model: str
    other: str
    items: Sequence[Prompt]
    own: Answers
    theirs: Answers
    inputs: tuple[Path, ...]


def of_models(settings: config.Settings, model: str, other: str) -> HeadToHead:
    """Two models of the pipeline, to be judged in both orders; raises InputError if an answer is missing."""
    if settings.model(model) == settings.model(other):
        raise InputError(f"{model!r} against itself; two models are expected")
    items = instructions(settings)
    judge = replace(settings.block(Alpaca).judge, both_orders=True)
    settings = replace(settings, alpaca=replace(settings.block(Alpaca), judge=judge))
    kept = tuple(BENCHMARK.folder(name) / paths.VERDICTS for name in (model, other))
    return HeadToHead(settings, model, other, items, _kept(model, items), _kept(other, items), kept)


def of_published(settings: config.Settings, generator: str, folder: Path) -> HeadToHead:
    """A generator, with outputs in the folder, and the baseline; raises InputError if an output is missing."""
    if not re.fullmatch(config.GENERATOR, generator):
        raise InputError(f"{generator!r} cannot be the name of a folder; letters, digits and . + - _ are expected")
    items = instructions(settings)
    own = {key(row): row for row in published_answers(settings, items, folder, generator)}
    sources = (folder, paths.baseline())
    return HeadToHead(settings, generator, settings.baseline.model, items, own, baseline_answers(items), sources)


def run(match: HeadToHead) -> Metrics:
    """Judge, write verdicts, figures and page atomically, and return the figures."""
    settings, model, other = match.settings, match.model, match.other
    judge = open_judge(settings.block(Alpaca).judge, settings.engine)
    verdicts = judge_items(settings, judge, match.items, match.own, match.theirs)
    metrics = figures(settings, verdicts)
    page = html(settings, model, other, metrics, verdicts)
    with atomic_folder(paths.judged(model, other)) as folder:
        write_rows(folder / paths.VERDICTS, verdicts)
        write_json(folder / paths.METRICS, metrics)
        write_text(folder / paths.PAGE, page)
    return metrics


def _kept(model: str, items: Sequence[Prompt]) -> dict[str, Response]:
    """The model's answers, from its verdicts against the baseline."""
    path = BENCHMARK.folder(model) / paths.VERDICTS
    rows = read_by_key(path, Verdict, key=key)
    for item in items:
        if key(item) not in rows or rows[key(item)].prompt != item.text:
            raise InputError(f"no answer to {item.id!r} in {item.lang!r} as it is now; run `lidr alpaca {model}`", path)
    return {
        name: Response(
            id=row.id,
            lang=row.lang,
            text=row.completion,
            reasoning=row.reasoning,
            finish_reason=row.finish_reason,
            prompt_tokens=0,
            completion_tokens=0,
        )
        for name, row in rows.items()
    }
