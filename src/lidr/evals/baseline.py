"""Stage `baseline`: the answers that a model's are compared with in `alpaca`.

$ lidr baseline
baseline: 1,750 answers by m0 in 7 languages

reports/alpaca/baseline/answers.jsonl:
{"id":"lab-4","lang":"es","text":"El número mayor es 61 ...","finish_reason":"stop","prompt_tokens":14,
 "completion_tokens":19}
"""

from __future__ import annotations

from lidr import config, paths, policy
from lidr.engines.shards import discard
from lidr.evals.answers import ask, key, lab_items
from lidr.jsonl import write_rows
from lidr.records import Prompt, Response

STAGE = "baseline"


def run(settings: config.Settings) -> list[Response]:
    """Answer all instructions with the baseline model and write the answers."""
    model = policy.resolve(settings.baseline.model)
    items = instructions(settings)
    completions = ask(settings, model, STAGE, items, settings.alpaca.max_new_tokens, settings.alpaca.repetition_penalty)
    responses = [
        Response(
            id=item.id,
            lang=item.lang,
            text=completion.text,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
        )
        for item in items
        for completion in [completions[key(item)]]
    ]
    write_rows(paths.baseline() / paths.ANSWERS, responses)
    discard(paths.shards(STAGE, model.name))
    return responses


def instructions(settings: config.Settings) -> list[Prompt]:
    """The instructions of `alpaca`, in all its languages."""
    return lab_items("instructions", settings.alpaca.languages, settings.alpaca.items, settings.seed)
