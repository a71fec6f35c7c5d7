"""Shared code of generative benchmarks: items, completions, figures by place, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from statistics import fmean
from typing import Any, Literal

from lidr import config, paths
from lidr.config.evaluation import Generative
from lidr.engines.base import Completion, Request, Sampling, open_engine
from lidr.engines.shards import discard, generate_in_shards
from lidr.errors import InputError
from lidr.evaluation.registry import AVERAGE, Benchmark, Metrics
from lidr.models import policy
from lidr.records import Prompt, Record, Response, Verdict
from lidr.records.code_switching import Sentences
from lidr.records.jsonl import write_json, write_rows
from lidr.records.prompt_templates import prompt_conversation
from lidr.records.rounding import rounded


def lab_items(
    kind: Literal["problems", "instructions"],
    languages: Sequence[str],
    count: int,
    seed: int,
    split: str = "evaluation",
) -> list[Prompt]:
    """The lab's items in all languages; those of the split `evaluation` share no operands with training tasks."""
    from lidr.lab import source

    kinds = source.PROBLEMS if kind == "problems" else source.INSTRUCTIONS
    return [item for lang in languages for item in source.prompts(split, lang, count, seed, kinds=kinds).values()]


def ask(
    settings: config.Settings,
    block: Generative,
    stage: str,
    model: str,
    items: Sequence[Prompt],
    stop: Callable[[Prompt], Sequence[str]] = lambda item: (),
) -> dict[str, Completion]:
    """The model's greedy completions by `id:lang`; `stop` gives the strings that end an item's answer.

    The caller discards the shards once its output is written.
    """
    by_strings: dict[tuple[str, ...], list[Prompt]] = {}
    for item in items:
        by_strings.setdefault(tuple(stop(item)), []).append(item)
    completions: dict[str, Completion] = {}
    with closing(open_engine(settings.engine, policy.resolve(model))) as engine:
        for strings, asked in by_strings.items():
            completions |= generate_in_shards(
                engine,
                [Request(key(item), prompt_conversation(item.text)) for item in asked],
                Sampling(
                    block.max_new_tokens,
                    repetition_penalty=block.repetition_penalty,
                    stop=strings,
                    seed=settings.seed,
                ),
                paths.shards(stage, model),
                settings.engine.rows_per_shard,
                f"{stage} {model}",
            )
    return completions


def key(item: Prompt | Response | Verdict) -> str:
    """The key that joins an item and its answer."""
    return f"{item.id}:{item.lang}"


def code_switching(answers: Iterable[Sentences]) -> dict[str, float]:
    """The share of judged sentences in another language, if any are judged, and the counts beside it."""
    counts = list(answers)
    judged = sum(sentences.judged for sentences in counts)
    abstained = sum(not sentences.judged for sentences in counts)
    share = {"code_switching": sum(sentences.other for sentences in counts) / judged} if judged else {}
    return {**share, "code_switching_sentences": judged, "code_switching_abstained": abstained}


def summarise(
    benchmark: Benchmark,
    settings: config.Settings,
    rows: Sequence[Any],
    more: Callable[[Sequence[Any]], dict[str, float]] = lambda rows: {},
) -> Metrics:
    """Figures by place: the level with its interval, `more` figures, the shares of counted defects, and n.

    Their plain averages and sums are under `average`. Raises InputError for a place in which no row has a score.
    """
    by_place: dict[str, list[Any]] = {}
    for row in rows:
        by_place.setdefault(benchmark.place(row), []).append(row)
    metrics: Metrics = {}
    for place, own in by_place.items():
        scores = [score for row in own if (score := benchmark.score(row)) is not None]
        if not scores:
            raise InputError(f"not one answer in {place!r} is judged; a score of at least one is expected")
        level = benchmark.level(scores, settings.compare.confidence)
        metrics[place] = rounded(
            {benchmark.level_name: level.estimate, "low": level.low, "high": level.high}
            | more(own)
            | {name: sum(values) / len(values) for name, values in benchmark.counted(own).items()}
            | {"n": len(own)}
        )
    return metrics | {AVERAGE: _averaged(benchmark, metrics)}


def _averaged(benchmark: Benchmark, metrics: Metrics) -> dict[str, float]:
    """Each figure's average, or sum, over the places that have it."""
    names = dict.fromkeys(name for figures in metrics.values() for name in figures if name not in benchmark.of_places)
    given = {name: [figures[name] for figures in metrics.values() if name in figures] for name in names}
    return {name: rounded((sum if name in benchmark.sums else fmean)(values)) for name, values in given.items()}


def write(benchmark: Benchmark, model: str, rows: Sequence[Record], metrics: Metrics) -> None:
    """Write a model's rows and figures, then discard its shards."""
    write_rows(benchmark.path(model), rows)
    write_json(benchmark.folder(model) / paths.METRICS, metrics)
    discard(paths.shards(benchmark.name, model))
