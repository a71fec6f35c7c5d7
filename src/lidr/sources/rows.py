"""Published rows as prompts: which fields hold what is said in params.yaml, not guessed.

    >>> fields = config.Fields(text="instruction", id="id", answer=None)
    >>> to_prompts([{"id": "alpagasus-0", "instruction": "Dé tres consejos ..."}], fields, "alpagasus", "es", place)
    {'alpagasus-0': Prompt(id='alpagasus-0', lang='es', text='Dé tres consejos ...', ...)}

Languages are joined by id. Where rows have none (`fields.id: null`), an id is the row's number, and the languages must
then be parallel row by row: `check_parallel` compares their numbers of rows, and gold answers where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import UNSET, structs

from lidr import config
from lidr.errors import InputError
from lidr.records import Prompt, PromptKind, Source

ByLanguage = dict[str, dict[str, Prompt]]

# An error about the row of this number, from 0: its file and line, or its dataset.
Place = Callable[[int, str], InputError]


def to_prompts(
    rows: Iterable[Mapping[str, Any]], fields: config.Fields, name: str, lang: str, place: Place
) -> dict[str, Prompt]:
    """The rows as prompts by id, in their order; raises what `place` makes of the first row that is not as expected."""
    prompts: dict[str, Prompt] = {}
    for number, row in enumerate(rows):
        prompt = _prompt(row, fields, name, lang, number, place)
        if prompt.id in prompts:
            raise place(number, f"a second row with the id {prompt.id!r}; ids are expected once each")
        prompts[prompt.id] = prompt
    return prompts


def check_parallel(by_language: ByLanguage, dominant: str) -> None:
    """Raise InputError unless all languages have as many rows with the same gold answers, as a join by number needs."""
    first = by_language[dominant]
    for lang, prompts in by_language.items():
        if len(prompts) != len(first):
            raise InputError(
                f"{dominant} has {len(first)} prompts and {lang} {len(prompts)}; rows without ids are joined by their "
                "number, so as many are expected (or prompts.fields.id)"
            )
        for prompt_id, prompt in prompts.items():
            if prompt.answer != first[prompt_id].answer:
                raise InputError(
                    f"row {prompt.source.row} has the answer {first[prompt_id].answer!r} in {dominant} and "
                    f"{prompt.answer!r} in {lang}; the same prompt is expected in the same row"
                )


def number_by(dominant: str, by_language: ByLanguage) -> ByLanguage:
    """The prompts with the dominant language's row numbers, which say what iteration an id belongs to.

    An id that the dominant language lacks gets the row of the id before it in its own file, so that it is counted as
    dropped in the iteration where it stands.
    """
    rows = {prompt_id: prompt.source.row for prompt_id, prompt in by_language[dominant].items()}
    return {lang: _numbered(prompts, rows) for lang, prompts in by_language.items()}


def _numbered(prompts: dict[str, Prompt], rows: dict[str, int]) -> dict[str, Prompt]:
    numbered, last = {}, 0
    for prompt_id, prompt in prompts.items():
        last = rows.get(prompt_id, last)
        numbered[prompt_id] = structs.replace(prompt, source=structs.replace(prompt.source, row=last))
    return numbered


def _prompt(row: Mapping[str, Any], fields: config.Fields, name: str, lang: str, number: int, place: Place) -> Prompt:
    text = _value(row, fields.text.format(lang=lang), number, place)
    if not isinstance(text, str) or not text.strip():
        raise place(number, f"the field {fields.text!r} holds {text!r}; a text is expected")
    own_id = None if fields.id is None else _value(row, fields.id, number, place)
    if own_id is not None and (isinstance(own_id, bool) or not isinstance(own_id, str | int) or own_id == ""):
        raise place(number, f"the field {fields.id!r} holds {own_id!r}; an id is expected, a text or a number")
    return Prompt(
        id=f"{name}-{number}" if own_id is None else str(own_id),
        lang=lang,
        text=text,
        source=Source(name=name, row=number),
        kind=PromptKind.TASK,
        answer=UNSET if fields.answer is None else str(_value(row, fields.answer, number, place)),
    )


def _value(row: Mapping[str, Any], field: str, number: int, place: Place) -> Any:
    if row.get(field) is None:
        raise place(number, f"no field {field!r}; there are {', '.join(row)} (see prompts.fields)")
    return row[field]
