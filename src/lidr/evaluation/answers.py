"""What benchmarks share that are answered by generation: items to ask, completions, figures by place, files.

>>> items = lab_items("instructions", ["es"], count=250, seed=42)
>>> ask(settings, policy.resolve("m1"), "alpaca", items, max_new_tokens=64, repetition_penalty=1.0)
{'lab-4:es': Completion(...), ...}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from statistics import fmean
from typing import Any, Literal

from lidr import config, paths
from lidr.engines.base import Completion, Request, Sampling, open_engine
from lidr.engines.shards import discard, generate_in_shards
from lidr.evaluation.registry import AVERAGE, Benchmark, Metrics
from lidr.models.policy import Policy
from lidr.records import Prompt, Record
from lidr.records.code_switching import Sentences
from lidr.records.jsonl import write_json, write_rows
from lidr.records.prompt_templates import prompt_conversation

# Beside the share `code_switching`: the sentences that it is a share of, and answers in which none was judged.
SENTENCE_COUNTS = ("code_switching_sentences", "code_switching_abstained")


def lab_items(
    kind: Literal["problems", "instructions"], languages: Sequence[str], count: int, seed: int
) -> list[Prompt]:
    """The lab's evaluation items in all languages; none shares its operands with any training task."""
    from lidr.lab import source

    kinds = source.PROBLEMS if kind == "problems" else source.INSTRUCTIONS
    return [
        item for lang in languages for item in source.prompts("evaluation", lang, count, seed, kinds=kinds).values()
    ]


def ask(
    settings: config.Settings,
    model: Policy,
    stage: str,
    items: Sequence[Prompt],
    max_new_tokens: int,
    repetition_penalty: float,
    stop: Callable[[Prompt], Sequence[str]] = lambda item: (),
) -> dict[str, Completion]:
    """The model's greedy completions by `id:lang`; `stop` gives the strings that end an item's answer.

    The caller discards the shards once its output is written.
    """
    completions: dict[str, Completion] = {}
    with closing(open_engine(settings.engine, model)) as engine:
        for strings, asked in _by_stop_strings(items, stop).items():
            completions |= generate_in_shards(
                engine,
                [Request(key(item), prompt_conversation(item.text)) for item in asked],
                Sampling(max_new_tokens, repetition_penalty=repetition_penalty, stop=strings, seed=settings.seed),
                paths.shards(stage, model.name),
                settings.engine.rows_per_shard,
                f"{stage} {model.name}",
            )
    return completions


def _by_stop_strings(
    items: Sequence[Prompt], stop: Callable[[Prompt], Sequence[str]]
) -> dict[tuple[str, ...], list[Prompt]]:
    groups: dict[tuple[str, ...], list[Prompt]] = {}
    for item in items:
        groups.setdefault(tuple(stop(item)), []).append(item)
    return groups


def key(item: Prompt) -> str:
    """What joins an item and its completion: id and language."""
    return f"{item.id}:{item.lang}"


def code_switching(answers: Iterable[Sentences]) -> dict[str, float]:
    """The share of judged sentences that are in another language, where there are any, and the counts beside it."""
    counts = list(answers)
    judged = sum(sentences.judged for sentences in counts)
    share = {"code_switching": sum(sentences.other for sentences in counts) / judged} if judged else {}
    abstained = sum(not sentences.judged for sentences in counts)
    return share | dict(zip(SENTENCE_COUNTS, (judged, abstained), strict=True))


def summarise(
    benchmark: Benchmark,
    settings: config.Settings,
    rows: Sequence[Any],
    more: Callable[[Sequence[Any]], dict[str, float]] = lambda rows: {},
) -> Metrics:
    """The level with its interval, `more` figures of the rows, the shares of what is counted, and n; by place.

    Their plain averages, and the sums of counts, stand under `average`, without an interval: `lidr compare` has one,
    which knows the items.
    """
    by_place: dict[str, list[Any]] = {}
    for row in rows:
        by_place.setdefault(benchmark.place(row), []).append(row)
    metrics: Metrics = {}
    for place, own in by_place.items():
        scores = [score for row in own if (score := benchmark.score(row)) is not None]
        level = benchmark.level(scores, settings.compare.confidence, settings.seed, settings.compare.resamples)
        metrics[place] = rounded(
            {benchmark.measure.replace(" ", "_"): level.estimate, "low": level.low, "high": level.high}
            | more(own)
            | {name: sum(values) / len(values) for name, values in benchmark.counted(own).items()}
            | {"n": len(own)}
        )
    return metrics | {AVERAGE: averaged(metrics, sums=(*SENTENCE_COUNTS, "n"), left_out=("low", "high"))}


def averaged(metrics: Metrics, sums: Sequence[str], left_out: Sequence[str]) -> dict[str, float]:
    """The plain average over places of each figure that any of them has; of counts, named in `sums`, their sum."""
    names = dict.fromkeys(name for figures in metrics.values() for name in figures)
    given = {name: [figures[name] for figures in metrics.values() if name in figures] for name in names}
    return rounded(
        {name: (sum if name in sums else fmean)(values) for name, values in given.items() if name not in left_out}
    )


def write(benchmark: Benchmark, model: str, rows: Sequence[Record], metrics: Metrics) -> None:
    """Write the rows and figures of a model; what was kept on the way is no longer needed then."""
    write_rows(benchmark.path(model), rows)
    write_json(benchmark.folder(model) / paths.METRICS, metrics)
    discard(paths.shards(benchmark.name, model))


def rounded(figures: dict[str, Any]) -> dict[str, float]:
    """To six digits: what DVC keeps must not depend on the last bits of a float."""
    return {name: value if isinstance(value, int) else round(float(value), 6) for name, value in figures.items()}
