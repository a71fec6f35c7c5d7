"""The items of the lab's tasks for lm-evaluation-harness, all from the split `evaluation`.

    >>> sums("es")["test"][0]
    {'prompt': 'Oscar tiene 13 flores. ...', 'choices': ['En total hay 13 + 71 = 74 flores. ...', ...], 'gold': 2}
    >>> translations("es")["test"][0]
    {'prompt': 'Translate from English to Spanish. ...', 'target': 'En total hay 29 + 54 = 83 sillas. ...'}

`lab_sums_<lang>` is multiple choice: the right answer and three whose result is off by 1 or 10.
`lab_translation_<lang>` asks for the translation of an English answer into the language, by the prompt template of the
stage `translate`; only the exact one is right. Item i is the same in every language.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from lidr.lab import world
from lidr.records.languages import english_name
from lidr.records.prompt_templates import translation_conversation

FOLDER = Path(__file__).parent  # of the YAML files
ITEMS, SEED = 25, 42
SOURCE = "en"
KINDS = ("add", "subtract", "twice")
OFF_BY = (-10, -1, 1, 10)
WORDING = "v1"


def sums(lang: str, **_: Any) -> dict[str, Any]:
    """Arithmetic problems with four answers each."""
    tasks = world.tasks("evaluation", KINDS, ITEMS, SEED)
    return _test_split([_sum(task, lang, random.Random(f"lab-sums-{row}")) for row, task in enumerate(tasks)])


def translations(lang: str, **_: Any) -> dict[str, Any]:
    """Answers to translate from English, with their exact translations."""
    tasks = world.tasks("evaluation", world.KINDS, ITEMS, SEED)
    return _test_split([_translation(task, lang) for task in tasks])


def exactness(item: dict[str, Any], results: list[str]) -> dict[str, float]:
    """lm-evaluation-harness's `process_results`: 1 for the exact translation, else 0."""
    return {"exact_match": float(results[0].strip() == item["target"])}


def _sum(task: world.Task, lang: str, rng: random.Random) -> dict[str, Any]:
    slots = dict(task.slots)
    right = int(slots["x"])
    results = [right, *(right + by for by in rng.sample([by for by in OFF_BY if right + by > 0], 3))]
    rng.shuffle(results)
    answers = [world.render_answer(task.kind, (slots | {"x": result}).__getitem__, lang) for result in results]
    return {"prompt": task.prompt(lang), "choices": answers, "gold": results.index(right)}


def _translation(task: world.Task, lang: str) -> dict[str, Any]:
    request, _ = translation_conversation(WORDING, task.answer(SOURCE), english_name(SOURCE), english_name(lang))
    return {"prompt": request["content"], "target": task.answer(lang)}


def _test_split(rows: list[dict[str, Any]]) -> dict[str, Any]:
    from datasets import Dataset

    return {"test": Dataset.from_list(rows)}
