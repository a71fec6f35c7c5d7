"""Published rows as prompts: params.yaml names their fields.

Languages are joined by id. Where rows have none (`fields.id: null`), an id is the row's number, and the languages must
then be parallel row by row: `joined` compares their numbers of rows, and gold answers where there are any.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, UnsetType, structs

from lidr import config
from lidr.errors import InputError
from lidr.records import Prompt, PromptKind, Source
from lidr.records.published import Row, short

ByLanguage = dict[str, dict[str, Prompt]]

# The second part of an instruction in Alpaca's rows.
INPUT = "input"
_HINT = " (see prompts.fields)"
_NO_ID = " (prompts.fields.id: null joins rows without ids by their number)"
_NO_ANSWER = " (prompts.fields.answer: null does without)"


def columns(fields: config.Fields, lang: str) -> dict[str, str]:
    """The names of the fields that are read, by what they hold; `{lang}` stands for the language's code."""
    names = {"text": fields.text, "id": fields.id, "answer": fields.answer, "input": fields.input or None}
    return {what: name.replace("{lang}", lang) for what, name in names.items() if name}


def to_prompts(rows: Iterable[Row], fields: config.Fields, name: str, lang: str) -> dict[str, Prompt]:
    """The rows as prompts by id, in their order; raises the error of the first row that is not as expected.

    A row whose answer is null or blank has none. Where no row has one, the field is not that of answers.
    """
    names, rows = columns(fields, lang), list(rows)
    if "answer" in names and rows and all(_is_blank(row, names["answer"]) for row in rows):
        raise rows[0].error(
            f"{names['answer']} is null or blank in all rows; an answer is expected in some{_NO_ANSWER}"
        )
    prompts: dict[str, Prompt] = {}
    for number, row in enumerate(rows):
        prompt = Prompt(
            id=row.id(names["id"], _NO_ID) if "id" in names else f"{name}-{number}",
            lang=lang,
            text=_text(row, fields, names),
            source=Source(name=name, row=number),
            kind=PromptKind.TASK,
            answer=_answer(row, names),
        )
        if prompt.id in prompts:
            raise row.error(f"a second row with the id {prompt.id!r}; ids are expected once each")
        prompts[prompt.id] = prompt
    return prompts


def _answer(row: Row, names: dict[str, str]) -> str | UnsetType:
    is_given = "answer" in names and not _is_blank(row, names["answer"])
    return row.answer(names["answer"], _NO_ANSWER) if is_given else UNSET


def _is_blank(row: Row, field: str) -> bool:
    value = row.values.get(field, field)
    return value is None or (isinstance(value, str) and not value.strip())


def _text(row: Row, fields: config.Fields, names: dict[str, str]) -> str:
    """The prompt's text, with the row's input after a blank line where it has one."""
    text = row.text(names["text"], _HINT)
    if fields.input is UNSET and INPUT not in names.values() and _is_text(row.values.get(INPUT)):
        lost = f"the field {INPUT!r} holds {short(row.values[INPUT])}, without which the prompt may make no sense"
        raise row.error(f"{lost}: name it in prompts.fields.input, which puts it after the text, or set that to null")
    if "input" not in names or row.values.get(names["input"], "missing") in (None, ""):
        return text
    return f"{text}\n\n{row.text(names['input'], _HINT)}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def joined(by_language: ByLanguage, dominant: str, fields: config.Fields) -> ByLanguage:
    """The prompts with the dominant language's row numbers, which say what iteration an id belongs to.

    An id that the dominant language lacks gets the row of the id before it in its own file, so that it is counted as
    dropped in the iteration where it stands. Raises InputError where ids are row numbers and rows are not parallel.
    """
    if fields.id is None:
        _check_parallel(by_language, dominant)
    rows = {prompt_id: prompt.source.row for prompt_id, prompt in by_language[dominant].items()}
    return {lang: _numbered(prompts, rows) for lang, prompts in by_language.items()}


def _check_parallel(by_language: ByLanguage, dominant: str) -> None:
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


def _numbered(prompts: dict[str, Prompt], rows: dict[str, int]) -> dict[str, Prompt]:
    numbered, last = {}, 0
    for prompt_id, prompt in prompts.items():
        last = rows.get(prompt_id, last)
        numbered[prompt_id] = structs.replace(prompt, source=structs.replace(prompt.source, row=last))
    return numbered
