"""The model card of the lab's base: what it is, and what it can do, measured by the product's own engine and scorers.

    $ lidr lab card src/lidr/lab/base
    en: problems 0.95 [0.92, 0.97] ...

Accuracy is measured on the evaluation split, whose operands no training row has; translation on the base's own answers
to the iteration split, in the direction that the method uses, against the world's exact translation.
"""

from __future__ import annotations

from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from lidr.engines.base import Request, Sampling
from lidr.engines.settings.transformers import Transformers
from lidr.engines.transformers import TransformersEngine
from lidr.lab import source, world
from lidr.lab.build import Settings
from lidr.models.policy import Policy, fingerprint
from lidr.pages import render
from lidr.records import Prompt
from lidr.records.jsonl import write_text
from lidr.records.languages import english_name
from lidr.records.prompt_templates import CLOSING_TAG, prompt_conversation, translation_conversation

if TYPE_CHECKING:
    from lidr.evaluation.statistics import Interval

ITEMS = 250
_SAMPLING = Sampling(max_new_tokens=64)


def write(folder: Path) -> str:
    """Measure the model in `folder`, write README.md beside it, and return the table."""
    engine = _engine(folder)
    settings = Settings()
    languages = (settings.mixture.dominant, *settings.mixture.others)
    accuracy = {lang: _accuracy(engine, lang) for lang in languages}
    translation = {lang: _translation(engine, settings.mixture.dominant, lang) for lang in settings.mixture.others}
    tables = f"{_accuracy_table(accuracy)}\n\n{_translation_table(translation)}"
    write_text(folder / "README.md", _card(settings, folder, tables))
    return tables


def _engine(folder: Path) -> TransformersEngine:
    settings = Transformers(device="cpu", dtype="float32", tokens_per_batch=16384, processes="auto")
    return TransformersEngine(settings, Policy("m0", folder, None, False, fingerprint(folder)))


def _accuracy(engine: TransformersEngine, lang: str) -> dict[str, Interval]:
    """Share of answers that are right, in any language, for problems and instructions."""
    from lidr.evaluation.statistics import wilson

    result = {}
    for name, kinds in (("problems", source.PROBLEMS), ("instructions", source.INSTRUCTIONS)):
        prompts = list(source.prompts("evaluation", lang, ITEMS, seed=0, kinds=kinds).values())
        completions = _answers(engine, prompts)
        right = sum(source.quality(text, str(p.answer), lang) > 0 for p, text in zip(prompts, completions, strict=True))
        result[name] = wilson(right, len(prompts))
    return result


def _translation(engine: TransformersEngine, dominant: str, lang: str) -> dict[str, Interval]:
    """Share of the model's own answers that it translates exactly, there and back; unreadable answers do not count."""
    from lidr.evaluation.statistics import wilson

    result = {}
    for start, target in ((dominant, lang), (lang, dominant)):
        own = _answers(engine, list(source.prompts("iterations", start, ITEMS, seed=0).values()))
        wanted = [(text, exact) for text in own if (exact := world.translate_answer(text, start, target)) is not None]
        requests = [
            Request(str(i), translation_conversation("v1", text, english_name(start), english_name(target)))
            for i, (text, _) in enumerate(wanted)
        ]
        done = engine.generate(requests, _SAMPLING, lambda count: None)
        exact_count = sum(
            completion.text.partition(CLOSING_TAG)[0].strip() == exact
            for completion, (_, exact) in zip(done, wanted, strict=True)
        )
        result[f"{start} -> {target}"] = wilson(exact_count, len(wanted))
    return result


def _answers(engine: TransformersEngine, prompts: list[Prompt]) -> list[str]:
    requests = [Request(prompt.id, prompt_conversation(prompt.text)) for prompt in prompts]
    return [completion.text for completion in engine.generate(requests, _SAMPLING, lambda count: None)]


def _accuracy_table(accuracy: dict[str, dict[str, Interval]]) -> str:
    rows = [f"| {lang} | {_cell(by['problems'])} | {_cell(by['instructions'])} |" for lang, by in accuracy.items()]
    return "\n".join(["| language | problems | instructions |", "|---|---|---|", *rows])


def _translation_table(translation: dict[str, dict[str, Interval]]) -> str:
    rows = [f"| {direction} | {_cell(i)} | {i.n} |" for by in translation.values() for direction, i in by.items()]
    return "\n".join(["| direction | exact | n |", "|---|---|---|", *rows])


def _cell(interval: Interval) -> str:
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _card(settings: Settings, folder: Path, tables: str) -> str:
    return render(
        "lab_card.md",
        mixture=settings.mixture,
        dominant=english_name(settings.mixture.dominant),
        parameters=_parameters(folder),
        passes=settings.passes,
        rows=sum(one.steps for one in settings.passes) * settings.rows_per_step,
        solved=round(sum(one.solved * one.steps for one in settings.passes) * settings.rows_per_step),
        shape={name: value for name, value in asdict(settings).items() if name not in ("mixture", "passes")},
        items=ITEMS,
        tables=tables,
    )


def _parameters(folder: Path) -> int:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="numpy") as weights:
        return sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118 (no dictionary)
