"""Prompts of a folder or of a Hub dataset; params.yaml names their fields.

    data/sources/alpagasus/id_0_1000/es.jsonl      {"id": "alpagasus-0", "instruction": "Dé tres consejos ..."}
    data/sources/alpagasus/id_1000_2000/es.jsonl   {"id": "alpagasus-1000", "instruction": "Descubra la capital ..."}

    prompts:
      source: hub:juletxara/mgsm
      fields: {text: question, id: null, answer: answer_number}
      hub: {revision: <commit>, subset: "{lang}", split: train}

A folder holds <lang>.jsonl, or <part>/<lang>.jsonl in the order of the parts; also .json, .csv, .tsv and .parquet
(lidr.records.published). Without `prompts.fields` a line is a prompt in lidr's own format (`records.Prompt`), whose
`source.row` says which iteration takes it. Of a dataset, `{lang}` stands for a language's code in `subset`, `split` or
`fields.text`, wherever it keeps its languages.

Languages are joined by id. Where rows have none (`fields.id: null`), an id is the row's number, and the languages must
then be parallel row by row: as many rows, with the same gold answers where there are any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import UNSET, structs

from lidr import config
from lidr.errors import InputError, LidrError, short
from lidr.records import Prompt, PromptKind, Source
from lidr.records.jsonl import read_by_key
from lidr.records.published import SUFFIXES, Row, files, read

ByLanguage = dict[str, dict[str, Prompt]]

# The second part of an instruction in Alpaca's rows.
INPUT = "input"
_HINT = " (see prompts.fields)"
_NO_ID = " (prompts.fields.id: null joins rows without ids by their number)"
_NO_ANSWER = " (prompts.fields.answer: null does without)"


def load(prompts: config.Prompts, languages: tuple[str, ...]) -> ByLanguage:
    """All prompts of the source by language and id; `languages` begins with the dominant one."""
    fields, folder = prompts.fields, Path(prompts.source)
    if fields is None:
        return {lang: _own_records(folder, lang) for lang in languages}
    by_language = {}
    for lang in languages:
        if prompts.hub is not None:
            name = prompts.source.removeprefix(config.HUB)
            rows = _dataset(name, lang, fields, prompts.hub)
        else:
            name, rows = folder.name, [row for path in _parts(folder, lang) for row in read(path)]
        by_language[lang] = _to_prompts(rows, fields, name, lang)
    return _joined(by_language, languages[0], fields)


# --- a folder --------------------------------------------------------------------------------------------------------


def _parts(folder: Path, lang: str) -> list[Path]:
    """The language's files: the one in the folder, else those one level below, numbers in names in their order."""
    if found := files(folder, lang, f"*/{lang}"):
        return sorted(found, key=_natural)
    if not folder.is_dir():
        raise InputError("no such folder; prompts.source names it", folder)
    suffixes = ", ".join(SUFFIXES)
    raise InputError(f"no prompts in {lang!r}; {lang}.jsonl is expected, or with another ending of {suffixes}", folder)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part or 0), word) for word, part in re.findall(r"(\D*)(\d*)", path.parent.name)]


def _own_records(folder: Path, lang: str) -> dict[str, Prompt]:
    path, *others = _parts(folder, lang)
    if others:
        raise InputError(f"{1 + len(others)} files in {lang!r}; one in lidr's own format is expected", folder)
    prompts = read_by_key(path, Prompt)
    for number, prompt in enumerate(prompts.values(), start=1):
        if prompt.lang != lang:
            raise InputError(f"a prompt in {prompt.lang!r}; {lang!r} is expected in this file", path, number)
        if not prompt.text.strip():
            raise InputError(f"the prompt {prompt.id!r} has no text", path, number)
    return prompts


# --- the Hub ---------------------------------------------------------------------------------------------------------


def _dataset(name: str, lang: str, fields: config.Fields, hub: config.Hub) -> list[Row]:
    """The rows of a language, through `datasets`, at the pinned revision."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    subset = None if hub.subset is None else hub.subset.replace("{lang}", lang)
    split = hub.split.replace("{lang}", lang)
    where = f"{config.HUB}{name} ({', '.join(filter(None, (subset, split)))})"
    try:
        dataset: Any = load_dataset(name, name=subset, split=split, revision=hub.revision)
    except (DatasetsError, HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LidrError(
            f"the dataset {name!r} at {hub.revision} could not be loaded: {reason}; check id, subset, split and "
            "revision, log in with `hf auth login` where it is gated, or name a local folder where there is no network"
        ) from error
    wanted = list(_columns(fields, lang).values())
    for column in wanted:
        if column not in dataset.column_names:
            there = ", ".join(dataset.column_names)
            raise InputError(f"no field {column!r}; there are {there} (see prompts.fields)", where)
    # Others may hold pictures or sounds, which would be decoded.
    used = dataset.select_columns([column for column in dataset.column_names if column in (*wanted, INPUT)])
    if not len(used):
        raise InputError("no rows", where)
    return [Row(row, where, number=number) for number, row in enumerate(used)]


# --- rows ------------------------------------------------------------------------------------------------------------


def _columns(fields: config.Fields, lang: str) -> dict[str, str]:
    """The names of the fields that are read, by what they hold; `{lang}` stands for the language's code."""
    names = {"text": fields.text, "id": fields.id, "answer": fields.answer, "input": fields.input or None}
    return {what: name.replace("{lang}", lang) for what, name in names.items() if name}


def _to_prompts(rows: Sequence[Row], fields: config.Fields, name: str, lang: str) -> dict[str, Prompt]:
    """The rows as prompts by id, in their order; raises the error of the first row that is not as expected.

    A row whose answer is null or blank has none. Where no row has one, the field is not that of answers.
    """
    names = _columns(fields, lang)
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


def _joined(by_language: ByLanguage, dominant: str, fields: config.Fields) -> ByLanguage:
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
