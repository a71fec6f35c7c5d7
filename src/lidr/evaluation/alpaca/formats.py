"""X-AlpacaEval's published files: prompts and a model's outputs, as a JSON list per language.

    prompts/es.json
    [{"id": 1, "dataset": "helpful_base", "instruction": "¿Dime nombres de ...?"}, ...]

    outputs/es/gpt-4-turbo-2024-04-09/model_outputs.json, or outputs/es.json
    [{"generator": "gpt-4-turbo-2024-04-09", "dataset": "helpful_base", "id": 1, "instruction": "¿Dime ...", "output":
      "Claro, aquí tienes ..."}, ...]

The two are joined on the instruction, which is unique within a language. An output's `id` is ignored, since it may be
text, a number or missing. A prompt's `id` joins the languages; if no row has one, the row's number does. JSON lines are
read as well (`lidr.records.published`). A malformed file raises an InputError with file and row, counted from 1. A
generator may be named OWNER/MODEL: its folder is then OWNER/MODEL or OWNER__MODEL.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lidr.errors import InputError, short
from lidr.records import FinishReason, Prompt, PromptKind, Response, Source
from lidr.records.published import Row, check_unique, own_ids, read


def load_prompts(folder: Path, lang: str, count: int) -> list[Prompt]:
    """The first `count` prompts of the language."""
    path = folder / f"{lang}.json"
    rows, instructions = _rows(path)
    if len(rows) < count:
        raise InputError(f"{len(rows)} prompts; {count} are expected (alpaca.items)", path)
    for row in rows:
        if isinstance(given := row.values.get("input"), str) and given.strip():
            raise row.error(
                f"an input beside the instruction, {short(given)}; one instruction that holds it is expected"
            )
    ids = own_ids(rows) or [str(number) for number in range(1, len(rows) + 1)]
    return [
        Prompt(
            id=f"alpaca-{ids[number]}",
            lang=lang,
            text=instructions[number],
            source=Source(name=path.as_posix(), row=number),
            kind=PromptKind.TASK,
        )
        for number in range(count)
    ]


def load_outputs(folder: Path, lang: str, generator: str, prompts: Sequence[Prompt]) -> list[Response]:
    """The generator's answers to these prompts, in their order; raises InputError if one is missing."""
    path = _output_file(folder, lang, generator)
    rows, instructions = _rows(path)
    outputs = {}
    for row, instruction in zip(rows, instructions, strict=True):
        if (name := row.text("generator")) != generator:
            raise row.error(f"an output of {name!r}; outputs of {generator!r} are expected")
        outputs[instruction] = row.text("output", blank=True)
    for prompt in prompts:
        if prompt.text not in outputs:
            raise InputError(
                f"no output for the instruction of row {prompt.source.row + 1} of {prompt.source.name}: "
                f"{short(prompt.text)}; one for each instruction is expected",
                path,
            )
    # It counts as complete, since the files lack finish reason and token counts.
    complete: dict[str, Any] = {"finish_reason": FinishReason.STOP, "prompt_tokens": 0, "completion_tokens": 0}
    return [Response(id=prompt.id, lang=prompt.lang, text=outputs[prompt.text], **complete) for prompt in prompts]


def _output_file(folder: Path, lang: str, generator: str) -> Path:
    names = dict.fromkeys((generator, generator.replace("/", "__")))
    places = [*(folder / lang / name / "model_outputs.json" for name in names), folder / f"{lang}.json"]
    for place in places:
        if place.is_file():
            return place
    others = ", ".join(map(str, places[1:]))
    raise InputError(f"no such file, and no {others}; outputs of {generator!r} in {lang!r} are expected", places[0])


def _rows(path: Path) -> tuple[list[Row], list[str]]:
    """The file's rows and their instructions, checked to be unique."""
    rows = read(path)
    instructions = [row.text("instruction") for row in rows]
    check_unique(instructions, rows, "instruction")
    return rows, instructions
