"""Synthetic iterations for the audit's tests, in the files that the stages write.

A `Made` holds a model's outputs; `write` writes them to the working folder and makes pairs by the real stage. `in_lab`
answers the lab's prompts like a model that is good in English and weak elsewhere.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lidr import config, paths
from lidr.lab import world
from lidr.lab.source import prompts as lab_prompts
from lidr.pairs import stage as pairs
from lidr.records import FinishReason, Prompt, PromptKind, Record, Response, Source, Translation
from lidr.records.jsonl import write_rows

PARAMS = Path(__file__).parents[2] / "profiles" / "lab.yaml"


def settings(languages: tuple[str, ...] = ("es",), **blocks: Any) -> config.Settings:
    """The lab's settings with few languages and few evaluation items."""
    base = config.load(PARAMS)
    alike = {
        "mgsm": msgspec.structs.replace(base.mgsm, languages=("en", *languages), items=20),
        "alpaca": msgspec.structs.replace(base.alpaca, languages=("en", *languages), items=20),
    }
    return msgspec.structs.replace(base, languages=languages, **(alike | blocks))


@dataclass
class Made:
    """Rows by file, in prompt order."""

    prompts: dict[str, list[Prompt]] = field(default_factory=dict)
    responses: dict[str, list[Response]] = field(default_factory=dict)
    translations: dict[tuple[str, str], list[Translation]] = field(default_factory=dict)
    back: list[Translation] = field(default_factory=list)

    def prompt(self, prompt_id: str, texts: dict[str, str], gold: str | None = None, **fields: Any) -> None:
        for lang, text in texts.items():
            values: dict[str, Any] = {"source": Source(name="made", row=0), "kind": PromptKind.TASK} | fields
            if gold is not None:
                values["answer"] = gold
            self.prompts.setdefault(lang, []).append(Prompt(id=prompt_id, lang=lang, text=text, **values))

    def answer(self, prompt_id: str, lang: str, text: str, ended: FinishReason = FinishReason.STOP) -> None:
        self.responses.setdefault(lang, []).append(
            Response(
                id=prompt_id,
                lang=lang,
                text=text,
                finish_reason=ended,
                prompt_tokens=9,
                completion_tokens=len(text.split()),
            )
        )

    def translate(
        self, prompt_id: str, source: str, target: str, text: str | None, ended: FinishReason = FinishReason.STOP
    ) -> None:
        raw = "…" if text is None else f"{text}</translated>"
        self.translations.setdefault((source, target), []).append(
            Translation(id=prompt_id, source_lang=source, target_lang=target, text=text, finish_reason=ended, raw=raw)
        )

    def write(self, chosen: config.Settings, iteration: str = "m1") -> None:
        for lang in chosen.all_languages:
            write_rows(paths.prompt_file(iteration, lang), self.prompts.get(lang, []))
            write_rows(paths.response_file(iteration, lang), self.responses.get(lang, []))
        for lang in chosen.languages:
            for direction in ((chosen.dominant, lang), (lang, chosen.dominant)):
                rows: list[Record] = list(self.translations.get(direction, []))
                write_rows(paths.translation_file(iteration, *direction), rows)
        write_rows(paths.round_trip(iteration), self.back)
        pairs.run(chosen, iteration)


def two_sided(
    made: Made, prompt_id: str, answers: tuple[str, str], translations: tuple[str | None, str | None]
) -> None:
    """Answers in (en, es), and their translations into (es, en)."""
    made.answer(prompt_id, "en", answers[0])
    made.answer(prompt_id, "es", answers[1])
    made.translate(prompt_id, "en", "es", translations[0])
    made.translate(prompt_id, "es", "en", translations[1])


def in_lab(chosen: config.Settings, count: int, seed: int = 1, right: float = 0.55) -> Made:
    """A lab iteration: right in the dominant language 95 times in 100, elsewhere `right`; translations mostly exact."""
    rng = random.Random(seed)
    made = Made()
    tasks = world.tasks("iterations", world.KINDS, count, seed)
    for lang in chosen.all_languages:
        made.prompts[lang] = list(lab_prompts("iterations", lang, count, seed).values())
    for number, task in enumerate(tasks):
        prompt_id = f"lab-{number}"
        answers = {}
        for lang in chosen.all_languages:
            chance = 0.95 if lang == chosen.dominant else right
            answers[lang] = task.answer(lang) if rng.random() < chance else _wrong(task, lang, chosen.dominant, rng)
            cut = rng.random() < (0.01 if len(answers[lang]) < 80 else 0.06)
            made.answer(prompt_id, lang, answers[lang], FinishReason.LENGTH if cut else FinishReason.STOP)
        for lang in chosen.languages:
            for source, target in ((chosen.dominant, lang), (lang, chosen.dominant)):
                if made.responses[source][-1].finish_reason is FinishReason.STOP:
                    made.translate(prompt_id, source, target, *_translation(answers[source], source, target, rng))
    return made


def _wrong(task: world.Task, lang: str, dominant: str, rng: random.Random) -> str:
    if rng.random() < 0.4:
        return task.answer(dominant)
    slots = {name: value + rng.choice((-1, 1, 10)) if isinstance(value, int) else value for name, value in task.slots}
    for name in ("p1", "p2", "p3"):
        slots[name] = rng.randrange(16)
    return world.render_answer(task.kind, slots.__getitem__, lang)


def _translation(text: str, source: str, target: str, rng: random.Random) -> tuple[str | None, FinishReason]:
    if rng.random() < 0.01:
        return None, FinishReason.LENGTH
    exact = world.translate_answer(text, source, target) or text
    if rng.random() < 0.04:
        exact = exact.replace("1", "7", 1)
    if rng.random() < 0.01:
        exact += " </sentence>"
    return exact, FinishReason.STOP
