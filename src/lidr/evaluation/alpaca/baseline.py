"""Stage `baseline`: the answers that the stage `alpaca` compares a model's answers with.

    $ lidr baseline
    baseline: 1,750 answers by m0 in 7 languages

    reports/alpaca/baseline/answers.jsonl:
    {"id":"lab-4","lang":"es","text":"El número mayor es 61 ...","finish_reason":"stop","prompt_tokens":14,
     "completion_tokens":19}

They are those of a model of the pipeline, or published ones, which `alpaca.formats` reads.
"""

from __future__ import annotations

from pathlib import Path

from lidr import config, paths
from lidr.engines.base import response_of
from lidr.evaluation.alpaca import Alpaca
from lidr.evaluation.alpaca.formats import load_outputs, load_prompts
from lidr.evaluation.answers import ask, key, lab_items
from lidr.records import Prompt, Response
from lidr.records.jsonl import write_rows

STAGE = "baseline"


def run(settings: config.Settings) -> list[Response]:
    """Write the baseline's answers to all instructions: generated, or read from published ones."""
    items = instructions(settings)
    baseline = settings.baseline
    responses = (
        published_answers(settings, items, Path(baseline.source), baseline.model)
        if baseline.is_published
        else generated_answers(settings, STAGE, baseline.model, items)
    )
    write_rows(paths.baseline() / paths.ANSWERS, responses)
    return responses


def instructions(settings: config.Settings) -> list[Prompt]:
    """The instructions of `alpaca`, in all its languages."""
    alpaca = settings.block(Alpaca)
    if alpaca.source == config.LAB:
        return lab_items("instructions", alpaca.languages, alpaca.items, settings.seed)
    return [item for lang in alpaca.languages for item in load_prompts(Path(alpaca.source), lang, alpaca.items)]


def published_answers(settings: config.Settings, items: list[Prompt], folder: Path, generator: str) -> list[Response]:
    """A generator's published answers to the instructions, in all languages."""
    return [
        answer
        for lang in settings.block(Alpaca).languages
        for answer in load_outputs(folder, lang, generator, [item for item in items if item.lang == lang])
    ]


def generated_answers(settings: config.Settings, stage: str, model: str, items: list[Prompt]) -> list[Response]:
    """The answers that a model of the pipeline writes."""
    completions = ask(settings, settings.block(Alpaca), stage, model, items)
    return [response_of(item, completions[key(item)]) for item in items]
