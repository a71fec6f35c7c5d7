"""Stage `generate`: a model answers every prompt in the prompt's own language.

$ lidr generate m1
generate m1: 1,500 answers by m0 in 5 languages, 3 truncated, 0 refused

data/m1/responses/es.jsonl:
{"id":"lab-0","lang":"es","text":"El número mayor es 61 ...","finish_reason":"stop","prompt_tokens":14,
 "completion_tokens":19}

With `generate.samples` above 1 a prompt has as many rows, one after the other; from the second on they have "sample".
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing

import msgspec

from lidr import config, paths
from lidr.engines.base import Request, Sampling, open_engine, response_of
from lidr.engines.shards import Shards
from lidr.models import policy
from lidr.records import FinishReason, Prompt
from lidr.records.jsonl import atomic_folder, read_by_key, write_rows
from lidr.records.prompt_templates import prompt_conversation

STAGE = "generate"


def run(settings: config.Settings, data: str) -> dict[str, Counter[FinishReason]]:
    """Answer all prompts, each `generate.samples` times; returns how they ended, by language."""
    settings = settings.of_data(data)
    model = policy.resolve(settings.data[data].by)
    keys = msgspec.structs.asdict(settings.generate)
    samples = keys.pop("samples")
    sampling = Sampling(**keys, seed=settings.seed)
    prompts = [
        prompt
        for lang in settings.all_languages
        for prompt in read_by_key(paths.prompt_file(data, lang), Prompt).values()
    ]
    wanted = [(prompt, sample) for prompt in prompts for sample in range(samples)]
    requests = [Request(_request_id(prompt, sample), prompt_conversation(prompt.text)) for prompt, sample in wanted]
    shards = Shards(paths.shards(STAGE, data), settings.engine.rows_per_shard)
    with closing(open_engine(settings.engine, model)) as engine:
        completions = shards.generate(engine, requests, sampling, f"answers of {model.name}")
    responses = [response_of(prompt, completions[_request_id(prompt, sample)], sample) for prompt, sample in wanted]
    with atomic_folder(paths.responses(data)) as folder:
        for lang in settings.all_languages:
            write_rows(folder / f"{lang}.jsonl", (r for r in responses if r.lang == lang))
    shards.discard_others()
    return {lang: Counter(r.finish_reason for r in responses if r.lang == lang) for lang in settings.all_languages}


def _request_id(prompt: Prompt, sample: int) -> str:
    """The first sample has the id, and so the seed, of a prompt's only answer."""
    return f"{prompt.id}:{prompt.lang}" + (f":{sample}" if sample else "")
