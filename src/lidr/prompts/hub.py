"""Prompts of a Hub dataset at a pinned revision, through `datasets`.

    prompts:
      source: hub:juletxara/mgsm
      fields: {text: question, id: null, answer: answer_number}
      hub: {revision: <commit>, subset: "{lang}", split: train}

`{lang}` stands for a language's code in `subset`, `split` or `fields.text`, wherever the dataset keeps its languages.
"""

from __future__ import annotations

from typing import Any

from lidr import config
from lidr.errors import InputError, LidrError
from lidr.prompts.rows import INPUT, ByLanguage, columns, joined, to_prompts
from lidr.records import Prompt
from lidr.records.published import Row


def load(source: str, languages: tuple[str, ...], fields: config.Fields, hub: config.Hub) -> ByLanguage:
    """All prompts of the dataset by language and id; `languages` begins with the dominant one."""
    name = source.removeprefix(config.HUB)
    by_language = {lang: _prompts(name, lang, fields, hub) for lang in languages}
    return joined(by_language, languages[0], fields)


def _prompts(name: str, lang: str, fields: config.Fields, hub: config.Hub) -> dict[str, Prompt]:
    subset = None if hub.subset is None else hub.subset.replace("{lang}", lang)
    split = hub.split.replace("{lang}", lang)
    where = f"{config.HUB}{name} ({', '.join(filter(None, (subset, split)))})"
    dataset = _load(name, subset, split, hub.revision)
    wanted = [*columns(fields, lang).values(), INPUT]
    for column in wanted[:-1]:
        if column not in dataset.column_names:
            raise InputError(
                f"no field {column!r}; there are {', '.join(dataset.column_names)} (see prompts.fields)", where
            )
    # Others may hold pictures or sounds, which would be decoded.
    read = dataset.select_columns([column for column in dataset.column_names if column in wanted])
    prompts = to_prompts([Row(row, where, number=number) for number, row in enumerate(read)], fields, name, lang)
    if not prompts:
        raise InputError("no rows", where)
    return prompts


def _load(name: str, subset: str | None, split: str, revision: str) -> Any:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return load_dataset(name, name=subset, split=split, revision=revision)
    except (DatasetsError, HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LidrError(
            f"the dataset {name!r} at {revision} could not be loaded: {reason}; check id, subset, split and revision, "
            "log in with `hf auth login` where it is gated, or name a local folder where there is no network"
        ) from error
