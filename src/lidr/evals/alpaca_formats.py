"""X-AlpacaEval's published files: prompts, and a model's outputs, in one JSON list a language.

    prompts/es.json
    [{"id": 1, "dataset": "helpful_base", "instruction": "¿Dime nombres de ...?"}, ...]

    outputs/es/gpt-4-turbo-2024-04-09/model_outputs.json, or outputs/es.json
    [{"generator": "gpt-4-turbo-2024-04-09", "dataset": "helpful_base", "id": 1, "instruction": "¿Dime ...", "output":
      "Claro, aquí tienes ..."}, ...]

The two are joined on the instruction, which is unique within a language; an output's `id` is not looked at, for it may
be text, a number or missing. A prompt's `id` joins the languages; where no row has one, it is the row's number. Files
that are not as expected end in an InputError with file and row, counted from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from lidr.errors import InputError
from lidr.jsonl import repeated_key
from lidr.records import FinishReason, Prompt, PromptKind, Response, Source


class PromptRow(msgspec.Struct, frozen=True):
    """One published prompt."""

    instruction: str
    id: int | str | None = None
    dataset: str | None = None


class OutputRow(msgspec.Struct, frozen=True):
    """One published answer."""

    instruction: str
    output: str
    generator: str
    id: int | str | None = None
    dataset: str | None = None


RowT = TypeVar("RowT", PromptRow, OutputRow)


def load_prompts(folder: Path, lang: str, count: int) -> list[Prompt]:
    """The first `count` prompts of the language."""
    path = folder / f"{lang}.json"
    rows = _rows(path, PromptRow, '{"id", "dataset", "instruction"}')
    if len(rows) < count:
        raise InputError(f"{len(rows)} prompts; {count} are expected (alpaca.items)", path)
    ids = _ids(rows, path)
    return [
        Prompt(
            id=ids[number],
            lang=lang,
            text=row.instruction,
            source=Source(name=path.as_posix(), row=number),
            kind=PromptKind.TASK,
        )
        for number, row in enumerate(rows[:count])
    ]


def load_outputs(folder: Path, lang: str, generator: str, prompts: Sequence[Prompt]) -> list[Response]:
    """The generator's answers to these prompts, in their order; raises InputError where one is missing."""
    path = _output_file(folder, lang, generator)
    rows = _rows(path, OutputRow, '{"generator", "instruction", "output"}')
    for number, row in enumerate(rows, start=1):
        if row.generator != generator:
            raise _row_error(path, number, f"an output of {row.generator!r}; outputs of {generator!r} are expected")
    outputs = {row.instruction: row.output for row in rows}
    for prompt in prompts:
        if prompt.text not in outputs:
            raise InputError(
                f"no output for the instruction of row {prompt.source.row + 1} of {prompt.source.name}: "
                f"{_short(prompt.text)}; one for each instruction is expected",
                path,
            )
    return [_response(prompt, outputs[prompt.text]) for prompt in prompts]


def _response(prompt: Prompt, output: str) -> Response:
    """What is published tells neither why an answer ended nor its tokens: it counts as ended by itself."""
    return Response(
        id=prompt.id,
        lang=prompt.lang,
        text=output,
        finish_reason=FinishReason.STOP,
        prompt_tokens=0,
        completion_tokens=0,
    )


def _output_file(folder: Path, lang: str, generator: str) -> Path:
    places = (folder / lang / generator / "model_outputs.json", folder / f"{lang}.json")
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"no such file, and no {places[1]}; outputs of {generator!r} in {lang!r} are expected", places[0])


def _rows(path: Path, kind: type[RowT], expected: str) -> list[RowT]:
    """The list's rows, each with an instruction that no other has."""
    try:
        raw = msgspec.json.decode(path.read_bytes(), type=list[msgspec.Raw])
    except FileNotFoundError:
        raise InputError(f"no such file; a JSON list of {expected} is expected", path) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not a JSON list of {expected}: {error}", path) from error
    if not raw:
        raise InputError(f"the list is empty; one {expected} for each instruction is expected", path)
    rows = [_row(path, number, text, kind, expected) for number, text in enumerate(raw, start=1)]
    first: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if not row.instruction.strip():
            raise _row_error(path, number, "an empty instruction; a text is expected")
        if row.instruction in first:
            where = f"the same instruction as in row {first[row.instruction]}: {_short(row.instruction)}"
            raise _row_error(path, number, f"{where}; each is expected once")
        first[row.instruction] = number
    return rows


def _row(path: Path, number: int, text: msgspec.Raw, kind: type[RowT], expected: str) -> RowT:
    try:
        row = msgspec.json.decode(text, type=kind)
        twice = repeated_key(bytes(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _row_error(path, number, f"not as expected, {expected}: {error}") from error
    if twice is not None:
        raise _row_error(path, number, f"the key {_short(twice)} stands twice; once is expected")
    return row


def _ids(rows: Sequence[PromptRow], path: Path) -> list[str]:
    """The rows' ids as text; all rows have one, or none."""
    ids = [str(number) if row.id is None else str(row.id) for number, row in enumerate(rows, start=1)]
    first: dict[str, int] = {}
    for number, (row, name) in enumerate(zip(rows, ids, strict=True), start=1):
        if (row.id is None) != (rows[0].id is None):
            raise _row_error(path, number, "some rows have an id and some do not; all or none are expected to")
        if name in first:
            raise _row_error(path, number, f"the id {name!r} of row {first[name]}; each is expected once")
        first[name] = number
    return [f"alpaca-{name}" for name in ids]


def _row_error(path: Path, number: int, message: str) -> InputError:
    return InputError(f"row {number}: {message}", path)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
