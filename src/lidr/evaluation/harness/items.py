"""Items from lm_eval's samples: the prompt, the model's answer, and the score of each metric.

    reports/harness/m0/items.jsonl:
    {"id":"lab_sums_LANG:0","task":"lab_sums_en","lang":"en","prompt":"...","metric":"acc","score":1.0,"version":"1.0",...}

A task's headline metric is the first in its list that gives each item a value between 0 and 1, where higher is better.
A task without one (perplexities, corpus scores) is refused, since models cannot be paired on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from lidr.errors import InputError
from lidr.records import UNDETERMINED, HarnessItem
from lidr.records.languages import locale

# Stands for the language in a family's name: `hellaswag` is a task of its own, with other items than hellaswag_LANG.
ANY_LANGUAGE = "LANG"
# AGIEval's LSAT analytical reasoning: in English, despite the code in its name.
LSAT_AR = ["lsat", "ar"]


def items(results: Mapping[str, Any]) -> list[HarnessItem]:
    """All items in the order of tasks and documents; raises InputError for a task without a metric per item."""
    return [item for task in results["samples"] for item in _of_task(task, results)]


def language_and_family(task: str, asked: Collection[str]) -> tuple[str, str]:
    """The language in a task's name, and the name for any language: `es` and `m_mmlu_LANG` for `m_mmlu_es`.

    A language code counts if it is the last part, or if another requested task has another language there, as in
    `truthfulqa_es_mc2` and `truthfulqa_de_mc2`: 'in', 'no' and 'mt' are often words.
    """
    parts = task.split("_")
    place = _place_of_language(parts, [other.split("_") for other in asked])
    if place is None:
        return UNDETERMINED, task
    return parts[place], "_".join([*parts[:place], ANY_LANGUAGE, *parts[place + 1 :]])


def _place_of_language(parts: list[str], asked: Sequence[list[str]]) -> int | None:
    last = len(parts) - 1
    if parts[-2:] != LSAT_AR and _is_language(parts[last]):
        return last
    for place in range(last - 1, -1, -1):
        others = {
            other[place]
            for other in asked
            if len(other) == len(parts) and other[:place] == parts[:place] and other[place + 1 :] == parts[place + 1 :]
        }
        if _is_language(parts[place]) and any(map(_is_language, others - {parts[place]})):
            return place
    return None


def _is_language(part: str) -> bool:
    if len(part) != 2 or not part.islower():
        return False
    try:
        return bool(locale(part))
    except InputError:
        return False


def _of_task(task: str, results: Mapping[str, Any]) -> Iterator[HarnessItem]:
    samples = results["samples"][task]
    # A task may extract an answer in several ways (filters); the first is its default.
    samples = [sample for sample in samples if sample["filter"] == samples[0]["filter"]]
    metrics = [name for name in samples[0]["metrics"] if _is_share(samples, name, results["higher_is_better"][task])]
    if not metrics:
        found = ", ".join(samples[0]["metrics"])
        raise InputError(f"harness.tasks: {task!r} has no metric from 0 to 1 for each item, only {found}")
    lang, family = language_and_family(task, results["samples"])
    for sample in sorted(samples, key=lambda sample: sample["doc_id"]):
        scores = {name: round(float(sample[name]), 6) for name in metrics}
        texts = _choices(sample)
        yield HarnessItem(
            id=f"{family}:{sample['doc_id']}",
            task=task,
            lang=lang,
            prompt=str(sample["arguments"][0][0]),
            gold=_gold(sample, texts),
            completion=_completion(sample, texts),
            metric=metrics[0],
            score=scores[metrics[0]],
            scores=scores,
            version=str(results["versions"][task]),
        )


def _is_share(samples: Sequence[Mapping[str, Any]], name: str, higher_is_better: Mapping[str, Any]) -> bool:
    if higher_is_better.get(name) is False:
        return False
    values = [sample[name] for sample in samples]
    # numpy's scalars are no int or float to Python.
    return all(not isinstance(v, (str, list, tuple, dict)) and v is not None and 0 <= float(v) <= 1 for v in values)


def _choices(sample: Mapping[str, Any]) -> list[str]:
    """The texts of a multiple-choice item; none if the model generates an answer."""
    if isinstance(sample["arguments"][0][-1], dict):
        return []
    endings = [str(arguments[-1]) for arguments in sample["arguments"]]
    # Some tasks (Winogrande) put the choices into the context, before the same continuation.
    is_at_the_end = len(endings) == 1 or len(set(endings)) > 1
    return endings if is_at_the_end else [str(arguments[0]) for arguments in sample["arguments"]]


def _gold(sample: Mapping[str, Any], texts: Sequence[str]) -> str:
    target = sample["target"]
    return texts[target] if isinstance(target, int) and 0 <= target < len(texts) else str(target)


def _completion(sample: Mapping[str, Any], texts: Sequence[str]) -> str:
    """The likeliest choice, or the generated text."""
    if not texts:
        return str(sample["resps"][0][0])
    likelihoods = [response[0] for response in sample["filtered_resps"]]
    best = max(range(len(likelihoods)), key=likelihoods.__getitem__)
    return texts[best] if len(texts) > 1 or sample["filtered_resps"][0][1] else ""
