"""Stage `prompts`: the prompts of one iteration, in every language, by id.

    $ lidr prompts m1
    prompts m1: 300 prompts in 5 languages, 0 dropped

    data/prompts/m1/es.jsonl:
    {"id":"lab-0","lang":"es","text":"¿Qué número es mayor, 34 o 61?","source":{"name":"lab","row":0},"kind":"task",
     "answer":"61"}

Iteration m<t> takes the source's rows from (t-1) x per_iteration, so that no prompt is used twice. A prompt that is
missing in a language is dropped from all, and listed in data/prompts/m1/drops.jsonl. A source is `lab` or a folder of
one JSONL file a language in this same record format (`lang` and `source` are taken as they stand).
"""

from __future__ import annotations

from pathlib import Path

from lidr import config, paths
from lidr.errors import InputError
from lidr.jsonl import atomic_folder, read_by_key, write_rows
from lidr.records import Drop, DropReason, Prompt

STAGE = "prompts"


def run(settings: config.Settings, iteration: str) -> tuple[int, list[Drop]]:
    """Write the iteration's prompts; returns their number and the prompts that were dropped."""
    settings.iteration(iteration)
    start = (config.iteration_number(iteration) - 1) * settings.prompts.per_iteration
    by_language = load_source(settings, start, settings.prompts.per_iteration)
    kept, drops = parallel(by_language, settings.dominant)
    if not kept:
        raise InputError(f"no prompt of {settings.prompts.source!r} is there in all languages for {iteration}")
    with atomic_folder(paths.prompts(iteration)) as folder:
        for lang, prompts in by_language.items():
            write_rows(folder / f"{lang}.jsonl", (prompts[prompt_id] for prompt_id in kept))
        write_rows(folder / paths.DROPS, drops)
    return len(kept), drops


def load_source(settings: config.Settings, start: int, count: int) -> dict[str, dict[str, Prompt]]:
    """Rows [start, start + count) of the source for each language, by id."""
    if settings.prompts.source == "lab":
        return _lab(settings, start, count)
    return _folder(Path(settings.prompts.source), settings.all_languages, start, count)


def parallel(by_language: dict[str, dict[str, Prompt]], dominant: str) -> tuple[list[str], list[Drop]]:
    """Ids that every language has, in the dominant language's order, and a drop for each language that lacks one."""
    kept, drops = [], []
    ids = list(dict.fromkeys(prompt_id for prompts in by_language.values() for prompt_id in prompts))
    for prompt_id in ids:
        missing = [lang for lang, prompts in by_language.items() if prompt_id not in prompts]
        drops += [
            Drop(
                prompt_id=prompt_id,
                lang=lang,
                other_lang=dominant,
                stage=STAGE,
                reason=DropReason.MISSING,
                detail="no prompt with this id",
            )
            for lang in missing
        ]
        if not missing:
            kept.append(prompt_id)
    return kept, drops


def _lab(settings: config.Settings, start: int, count: int) -> dict[str, dict[str, Prompt]]:
    from lidr.lab import source

    return {
        lang: source.prompts("iterations", lang, count, settings.seed, skip=start) for lang in settings.all_languages
    }


def _folder(folder: Path, languages: tuple[str, ...], start: int, count: int) -> dict[str, dict[str, Prompt]]:
    by_language: dict[str, dict[str, Prompt]] = {}
    for lang in languages:
        path = folder / f"{lang}.jsonl"
        if not path.exists():
            raise InputError(f"no prompts in {lang!r}; one JSONL file for each language is expected", path)
        rows = read_by_key(path, Prompt)
        for number, prompt in enumerate(rows.values(), start=1):
            _check(prompt, lang, path, number)
        by_language[lang] = {str(key): row for key, row in rows.items() if start <= row.source.row < start + count}
        if not by_language[lang]:
            raise InputError(f"no row from {start} to {start + count - 1}; the file has {len(rows)} prompts", path)
    return by_language


def _check(prompt: Prompt, lang: str, path: Path, number: int) -> None:
    if prompt.lang != lang:
        raise InputError(f"a prompt in {prompt.lang!r}; {lang!r} is expected in this file", path, number)
    if not prompt.text.strip():
        raise InputError(f"the prompt {prompt.id!r} has no text", path, number)
