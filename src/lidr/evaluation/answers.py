"""Shared code of generative benchmarks: items, completions, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Literal

from lidr import config, paths
from lidr.config.evaluation import Generative
from lidr.engines.base import Completion, Request, Sampling, open_engine
from lidr.engines.shards import Shards
from lidr.evaluation.registry import SENTENCE_COUNTS, Benchmark, Metrics
from lidr.models import policy
from lidr.records import Prompt, Record, Response, Verdict
from lidr.records.code_switching import Sentences
from lidr.records.jsonl import write_json, write_rows
from lidr.records.prompt_templates import prompt_conversation


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

    Their shards stay until the stage asks for something else.
    """
    by_strings: dict[tuple[str, ...], list[Prompt]] = {}
    for item in items:
        by_strings.setdefault(tuple(stop(item)), []).append(item)
    completions: dict[str, Completion] = {}
    shards = Shards(paths.shards(stage, model), settings.engine.rows_per_shard)
    with closing(open_engine(settings.engine, policy.resolve(model))) as engine:
        for strings, asked in by_strings.items():
            completions |= shards.generate(
                engine,
                [Request(key(item), prompt_conversation(item.text)) for item in asked],
                Sampling(
                    block.max_new_tokens,
                    repetition_penalty=block.repetition_penalty,
                    stop=strings,
                    seed=settings.seed,
                ),
                f"{stage} {model}",
            )
    shards.discard_others()
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
    return share | dict(zip(SENTENCE_COUNTS, (judged, abstained), strict=True))


def write(benchmark: Benchmark, model: str, rows: Sequence[Record], metrics: Metrics) -> None:
    """Write a model's rows and figures."""
    write_rows(benchmark.path(model), rows)
    write_json(benchmark.folder(model) / paths.METRICS, metrics)
