"""Our `lm_eval_strict`, `lm_eval_flexible`, `native_cot` and `en_cot` against lm-evaluation-harness 0.4.13.

The harness runs its own task files on MGSM's published problems, with a model that returns prepared answers. It gets
the data set from the test, so nothing is fetched. Prompts, extracted strings and verdicts are compared for each item.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lidr.evaluation.mgsm.extraction.words import wording
from lidr.evaluation.mgsm.items import load_examples, load_items, render_prompt, stop_strings
from lidr.evaluation.mgsm.scorers import lm_eval_equal, lm_eval_flexible, lm_eval_strict, score
from lidr.records import Prompt

DATA = os.environ.get("LIDR_PAPER_DATA")
if not DATA:
    pytest.skip("LIDR_PAPER_DATA names no folder with MGSM's published problems", allow_module_level=True)
lm_eval = pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")

LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
SHOTS = 2


@dataclass(frozen=True)
class Sample:
    """The harness's prompt, extraction and verdict for one item."""

    prompt: str
    until: list[str]
    extracted: dict[str, str]
    right: dict[str, bool]


# --- the material ----------------------------------------------------------------------------------------------------


def items_of(lang: str) -> list[Prompt]:
    return load_items(Path(str(DATA)) / "mgsm" / f"mgsm_{lang}.jsonl", lang)


def answers_to(items: Sequence[Prompt]) -> list[str]:
    """An answer to each item: a quarter right, the others wrong, in odd formats, without a number, or empty."""
    draw = random.Random(items[0].lang)
    return [
        wording(item.lang).strict.format(item.answer)
        if draw.random() < 0.25
        else draw.choice(list(ways_to_answer(item, draw)))
        for item in items
    ]


def ways_to_answer(item: Prompt, draw: random.Random) -> Iterator[str]:
    strict = wording(item.lang).strict
    text, gold = str(item.answer), int(str(item.answer))
    near = str(gold + draw.choice((-1, 1)))
    numbers = (text, f"{gold:,}", f"{gold}.0", f"-{gold}", f"{gold:,}".replace(",", "."))
    for number in (*numbers, f"{text[0]}.{text[1:]}", f"${gold}", near, "...", ",", "２３"):
        yield strict.format(number)
        yield f"5 + 6 = 11.\n{strict.format(number)} (2 x 3)."
        yield f"{strict.format(near)} {strict.format(number)}"
        yield f"{strict.format(f'**{number}**')}"
        yield f"So {number}"
        yield f"$ {number} $ -{near}"
        yield f"The answer is {number}\n\n{wording(item.lang).question} 7 + 8?"
    yield from ("", "\n", "no number", "$", "$.", "a - b", "1 0 0", "3-4", "[invalid]", "–18", "7万", "১৮ ১৯")


def examples_of(lang: str) -> list[dict[str, Any]]:
    """Two solved problems with the headings of the Hub's train rows."""
    words = wording(lang)
    return [
        {
            "question": f"{words.question} {one} + {other}?",
            "answer": f"{words.steps} {one} + {other} = {one + other}. {words.strict.format(one + other)}",
            "answer_number": one + other,
        }
        for one, other in ((5, 6), (20, 9))
    ]


# --- the harness -----------------------------------------------------------------------------------------------------


def harness(lang: str, style: str, items: Sequence[Prompt], answers: Sequence[str], shots: int = 0) -> list[Sample]:
    """Run the harness's task on the items; returns a sample for each, in order."""
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    name = f"mgsm_{style}_{lang}"
    config = load_yaml(Path(lm_eval.__file__).parent / "tasks" / "mgsm" / style / f"{name}.yaml")
    config |= {"custom_dataset": lambda **_: dataset(lang, items), "fewshot_config": {"sampler": "first_n"}}
    # Indexing all tasks of the package takes a minute, and only this one is needed.
    loaded = TaskManager(include_defaults=False).load([config | {"num_fewshot": shots}])
    for task in loaded["tasks"].values():
        task.set_fewshot_seed(seed=0)
    results = evaluate(lm=prepared_model(answers), task_dict=loaded, bootstrap_iters=0)
    samples: dict[int, Sample] = {}
    for row in results["samples"][name]:
        sample = samples.setdefault(
            row["doc_id"], Sample(*row["arguments"][0][:1], row["arguments"][0][1]["until"], {}, {})
        )
        sample.extracted[row["filter"]] = row["filtered_resps"][0]
        sample.right[row["filter"]] = bool(row["exact_match"])
    return [samples[index] for index in range(len(items))]


def dataset(lang: str, items: Sequence[Prompt]) -> Any:
    from datasets import Dataset, DatasetDict, Features, Value

    features = Features({"question": Value("string"), "answer": Value("string"), "answer_number": Value("int32")})
    test = [{"question": item.text, "answer": None, "answer_number": int(str(item.answer))} for item in items]
    return DatasetDict(
        train=Dataset.from_list(examples_of(lang), features=features), test=Dataset.from_list(test, features=features)
    )


def prepared_model(answers: Sequence[str]) -> Any:
    from lm_eval.api.model import LM

    class Prepared(LM):
        """A model that returns the prepared answers in order."""

        def generate_until(self, requests: Sequence[Any], **_: Any) -> list[str]:
            return [answers[request.doc_id] for request in requests]

        def loglikelihood(self, requests: Sequence[Any], **_: Any) -> list[Any]:
            raise NotImplementedError

        def loglikelihood_rolling(self, requests: Sequence[Any], **_: Any) -> list[Any]:
            raise NotImplementedError

    return Prepared()


# --- the comparison --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_extraction_scores_and_prompts_equal_the_harness(lang: str) -> None:
    items = items_of(lang)
    answers = answers_to(items)
    samples = harness(lang, "native_cot", items, answers)
    assert len(samples) == len(items) >= 200
    for item, answer, sample in zip(items, answers, samples, strict=True):
        assert render_prompt(item, "native_cot") == sample.prompt
        assert stop_strings(lang, "native_cot") == sample.until
        strict, flexible, ours = (
            lm_eval_strict(answer, lang),
            lm_eval_flexible(answer),
            score(answer, int(str(item.answer)), lang),
        )
        assert sample.extracted == {"strict-match": strict or "[invalid]", "flexible-extract": flexible or "[invalid]"}
        assert sample.right == {"strict-match": ours["strict"], "flexible-extract": ours["flexible"]}
    for scorer in ("strict-match", "flexible-extract"):
        share = sum(sample.right[scorer] for sample in samples) / len(samples)
        assert 0.1 < share < 0.9, "the prepared answers are expected to be right and wrong"


@pytest.mark.parametrize("style", ["native_cot", "en_cot"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_prompts_with_solved_examples_equal_the_harness(lang: str, style: str, tmp_path: Path) -> None:
    items = items_of(lang)[:3]
    samples = harness(lang, style, items, ["The answer is 18."] * len(items), SHOTS)
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in examples_of(lang)), "utf-8")
    examples = load_examples(path, lang)
    for item, sample in zip(items, samples, strict=True):
        assert render_prompt(item, style, examples) == sample.prompt
        assert stop_strings(lang, style) == sample.until
        assert sample.right["strict-match"] == lm_eval_equal(
            lm_eval_strict("The answer is 18.", "en" if style == "en_cot" else lang), int(str(item.answer))
        )
