"""Published rows as prompts: params.yaml names their fields.

Languages are joined by id. Where rows have none (`fields.id: null`), an id is the row's number, and the languages must
then be parallel row by row: `joined` compares their numbers of rows, and gold answers where there are any.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, structs

from lidr import config
from lidr.errors import InputError, short
from lidr.records import Prompt, PromptKind, Source
from lidr.records.published import Row

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


def to_prompts(rows: Sequence[Row], fields: config.Fields, name: str, lang: str) -> dict[str, Prompt]:
    """The rows as prompts by id, in their order; raises the error of the first row that is not as expected.

    A row whose answer is null or blank has none. Where no row has one, the field is not that of answers.
    """
    names = columns(fields, lang)
    if "answer" in names and rows and not any(_has_answer(row, names) for row in rows):
        answer = names["answer"]
        raise rows[0].error(f"{answer} is null or blank in all rows; an answer is expected in some{_NO_ANSWER}")
    prompts: dict[str, Prompt] = {}
    for number, row in enumerate(rows):
        prompt = Prompt(
            id=row.id(names["id"], _NO_ID) if "id" in names else f"{name}-{number}",
            lang=lang,
            text=_text(row, fields, names),
            source=Source(name=name, row=number),
            kind=PromptKind.TASK,
            answer=row.answer(names["answer"], _NO_ANSWER) if _has_answer(row, names) else UNSET,
        )
        if prompt.id in prompts:
            raise row.error(f"a second row with the id {prompt.id!r}; ids are expected once each")
        prompts[prompt.id] = prompt
    return prompts


def _has_answer(row: Row, names: dict[str, str]) -> bool:
    """Whether the row says something in the field of answers; where it lacks the field, reading it is an error."""
    if "answer" not in names:
        return False
    value = row.values.get(names["answer"], "missing")
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _text(row: Row, fields: config.Fields, names: dict[str, str]) -> str:
    """The prompt's text, with the row's input after a blank line where it has one."""
    text = row.text(names["text"], _HINT)
    other = row.values.get(INPUT)
    if fields.input is UNSET and INPUT not in names.values() and isinstance(other, str) and other.strip():
        lost = f"the field {INPUT!r} holds {short(other)}, without which the prompt may make no sense"
        raise row.error(f"{lost}: name it in prompts.fields.input, which puts it after the text, or set that to null")
    if "input" not in names or row.values.get(names["input"], "missing") in (None, ""):
        return text
    return f"{text}\n\n{row.text(names['input'], _HINT)}"


def joined(by_language: ByLanguage, dominant: str, fields: config.Fields) -> ByLanguage:
    """The prompts with the dominant language's row numbers, which say what iteration an id belongs to.

    An id that the dominant language lacks gets the row of the id before it in its own file, so that it is counted as
    dropped in the iteration where it stands. Raises InputError where ids are row numbers and rows are not parallel.
    """
    if fields.id is None:
        _check_parallel(by_language, dominant)
    numbered: ByLanguage = {}
    for lang, prompts in by_language.items():
        numbered[lang], row = {}, 0
        for prompt_id, prompt in prompts.items():
            first = by_language[dominant].get(prompt_id)
            row = row if first is None else first.source.row
            numbered[lang][prompt_id] = structs.replace(prompt, source=structs.replace(prompt.source, row=row))
    return numbered


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
