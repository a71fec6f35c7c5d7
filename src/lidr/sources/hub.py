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
from lidr.records import Prompt
from lidr.sources.rows import ByLanguage, check_parallel, number_by, to_prompts


def load(source: str, languages: tuple[str, ...], fields: config.Fields, hub: config.Hub) -> ByLanguage:
    """All prompts of the dataset by language and id; `languages` begins with the dominant one."""
    name = source.removeprefix(config.HUB)
    by_language = {lang: _prompts(name, lang, fields, hub) for lang in languages}
    if fields.id is None:
        check_parallel(by_language, languages[0])
    return number_by(languages[0], by_language)


def _prompts(name: str, lang: str, fields: config.Fields, hub: config.Hub) -> dict[str, Prompt]:
    subset = None if hub.subset is None else hub.subset.format(lang=lang)
    split = hub.split.format(lang=lang)
    where = f"{config.HUB}{name} ({', '.join(filter(None, (subset, split)))})"
    rows = _load(name, subset, split, hub.revision)
    prompts = to_prompts(
        rows, fields, name, lang, lambda number, message: InputError(f"row {number}: {message}", where)
    )
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
