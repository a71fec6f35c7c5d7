"""Stage `prompts`: the prompts of one iteration, in every language, by id.

    $ lidr prompts m1
    prompts m1: 1,000 prompts in 5 languages, 0 dropped; 7 ask for a translation, 0 say what another one says

    data/prompts/m1/es.jsonl:
    {"id":"alpagasus-0","lang":"es","text":"Dé tres consejos para mantenerse saludable.",
     "source":{"name":"alpagasus","row":0},"kind":"task"}

The data m<t> take the source's rows from (t-1) x per_iteration, so that no prompt is used in two iterations. A prompt
that is missing in a language is dropped from all, and listed in data/prompts/m1/drops.jsonl; one whose text a prompt of
this or an earlier iteration has already is kept and listed in duplicates.jsonl. The audit finds evaluation items among
the prompts (`dvc repro audit@m1` needs no training).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from msgspec import structs

from lidr import config, paths
from lidr.errors import InputError
from lidr.prompts import sources, translation_requests
from lidr.prompts.sources import ByLanguage
from lidr.records import Drop, DropReason, Prompt, PromptKind, Record
from lidr.records.jsonl import atomic_folder, write_rows
from lidr.records.languages import english_name
from lidr.records.prompt_templates import with_answer_language

STAGE = "prompts"


class Duplicate(Record, frozen=True):
    """A prompt whose text in this language another one has, of this iteration or an earlier one."""

    id: str
    lang: str
    same_as: str


@dataclass(frozen=True)
class Taken:
    """An iteration's prompts by language and id, its drops, and its duplicates."""

    prompts: ByLanguage
    drops: list[Drop]
    duplicates: list[Duplicate]

    @property
    def count(self) -> int:
        return len(next(iter(self.prompts.values())))

    @property
    def dropped(self) -> int:
        """Prompts that were dropped; each has a drop for every language that lacks it."""
        return len({drop.prompt_id for drop in self.drops})

    @property
    def translation_requests(self) -> int:
        return sum(p.kind is PromptKind.TRANSLATION for p in next(iter(self.prompts.values())).values())


def run(settings: config.Settings, data: str) -> Taken:
    """Write the prompts of these data, and return them."""
    settings.named_data(data)
    start = (config.iteration_number(data) - 1) * settings.prompts.per_iteration
    end = start + settings.prompts.per_iteration
    source = load_source(settings, end)
    by_language = {lang: _within(prompts, start, end, lang, settings) for lang, prompts in source.items()}
    kept, drops = _parallel(by_language, settings.dominant)
    if not kept:
        raise _no_common_prompt(settings, data, by_language)
    taken = Taken(
        prompts={lang: {prompt_id: prompts[prompt_id] for prompt_id in kept} for lang, prompts in by_language.items()},
        drops=drops,
        duplicates=list(_duplicates(source, frozenset(kept))),
    )
    with atomic_folder(paths.prompts(data)) as folder:
        for lang, prompts in taken.prompts.items():
            write_rows(folder / f"{lang}.jsonl", (_worded(prompt, settings) for prompt in prompts.values()))
        write_rows(folder / paths.DROPS, drops)
        write_rows(folder / paths.DUPLICATES, taken.duplicates)
    return taken


def load_source(settings: config.Settings, end: int) -> ByLanguage:
    """The source's prompts by language and id, with their kind; of the endless lab those before row `end`."""
    prompts, languages = settings.prompts, settings.all_languages
    if prompts.source == config.LAB:
        from lidr.lab import source

        return {lang: source.prompts("iterations", lang, end, settings.seed) for lang in languages}
    return translation_requests.mark(sources.load(prompts, languages), settings.dominant, prompts.translation_requests)


def _parallel(by_language: ByLanguage, dominant: str) -> tuple[list[str], list[Drop]]:
    """Ids that every language has, in the dominant language's order, and a drop for each language that lacks one."""
    kept, drops = [], []
    ids = list(dict.fromkeys(prompt_id for prompts in by_language.values() for prompt_id in prompts))
    for prompt_id in ids:
        missing = [lang for lang, prompts in by_language.items() if prompt_id not in prompts]
        if not missing:
            kept.append(prompt_id)
        for lang in missing:
            drop = Drop(
                prompt_id=prompt_id,
                lang=lang,
                other_lang=dominant,
                stage=STAGE,
                reason=DropReason.MISSING,
                detail="no prompt with this id",
            )
            drops.append(drop)
    return kept, drops


def _duplicates(source: ByLanguage, kept: Collection[str]) -> Iterator[Duplicate]:
    """Kept prompts with the text, but for spaces and case, of a prompt before them; all languages have both."""
    everywhere = frozenset.intersection(*map(frozenset, source.values()))
    for lang, prompts in source.items():
        first: dict[str, str] = {}
        for prompt in prompts.values():
            if prompt.id in everywhere:
                same_as = first.setdefault(" ".join(prompt.text.casefold().split()), prompt.id)
                if same_as != prompt.id and prompt.id in kept:
                    yield Duplicate(id=prompt.id, lang=lang, same_as=same_as)


def _within(
    prompts: dict[str, Prompt], start: int, end: int, lang: str, settings: config.Settings
) -> dict[str, Prompt]:
    rows = {prompt_id: prompt for prompt_id, prompt in prompts.items() if start <= prompt.source.row < end}
    if not rows:
        where = f"the source has {len(prompts)} prompts in {lang!r}"
        raise InputError(f"no row from {start} to {end - 1}; {where}", settings.prompts.source)
    return rows


def _no_common_prompt(settings: config.Settings, iteration: str, by_language: ByLanguage) -> InputError:
    fields = settings.prompts.fields
    first = ", ".join(f"{next(iter(prompts))!r} in {lang}" for lang, prompts in by_language.items())
    way_out = "" if fields is None or fields.id is None else "; prompts.fields.id: null joins parallel rows by number"
    return InputError(
        f"no prompt of {settings.prompts.source!r} is there in all languages for {iteration}: "
        f"the first ids are {first}{way_out}"
    )


def _worded(prompt: Prompt, settings: config.Settings) -> Prompt:
    version = settings.prompts.answer_language
    if version is None or prompt.kind is PromptKind.TRANSLATION:
        return prompt
    return structs.replace(prompt, text=with_answer_language(version, prompt.text, english_name(prompt.lang)))
