"""Prompts in a folder: <lang>.jsonl, or <part>/<lang>.jsonl in the order of the parts.

    data/sources/alpagasus/id_0_1000/es.jsonl      {"id": "alpagasus-0", "instruction": "Dé tres consejos ..."}
    data/sources/alpagasus/id_1000_2000/es.jsonl   {"id": "alpagasus-1000", "instruction": "Descubra la capital ..."}

A file holds JSON lines, or one JSON list (then also as <lang>.json). Without `prompts.fields` a line is a prompt in
lidr's own format (`records.Prompt`), whose `source.row` says which iteration takes it.
"""

from __future__ import annotations

import re
from pathlib import Path

from lidr import config
from lidr.errors import InputError
from lidr.prompts.rows import ByLanguage, joined, to_prompts
from lidr.records import Prompt
from lidr.records.jsonl import read_by_key
from lidr.records.published import read


def load(folder: Path, languages: tuple[str, ...], fields: config.Fields | None) -> ByLanguage:
    """All prompts of the folder by language and id; `languages` begins with the dominant one."""
    if fields is None:
        return {lang: _own_records(folder, lang) for lang in languages}
    by_language = {}
    for lang in languages:
        rows = [row for path in _parts(folder, lang) for row in read(path)]
        by_language[lang] = to_prompts(rows, fields, folder.name, lang)
    return joined(by_language, languages[0], fields)


def _parts(folder: Path, lang: str) -> list[Path]:
    """The language's files: the one in the folder, else those one level below, numbers in names in their order."""
    for suffix in (".jsonl", ".json"):
        whole = folder / f"{lang}{suffix}"
        found = [whole] if whole.exists() else sorted(folder.glob(f"*/{lang}{suffix}"), key=_natural)
        if found:
            return found
    raise InputError(f"no prompts in {lang!r}; one JSONL file for each language is expected", folder / f"{lang}.jsonl")


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
