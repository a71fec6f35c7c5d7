"""The pairs as a dataset in Hugging Face's format: a folder with its card, to load or to share.

    $ lidr audit card --to hub
    hub: 4,410 pairs and 390 drops of m1, m2; share it with: hf upload NAME hub --repo-type dataset

    datasets.load_dataset("hub", "m1", split="train")

The folder holds README.md (the card), and pairs.jsonl and drops.jsonl of each iteration, byte for byte those of the
pipeline. Each iteration is a configuration, and so are its drops.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.audit import drift
from lidr.audit.drift import Figures
from lidr.audit.page import interval
from lidr.errors import InputError, LidrError
from lidr.generation.translator import RECORD, TranslatorRecord
from lidr.git import git
from lidr.models import policy
from lidr.models.policy import file_hash
from lidr.pages import render
from lidr.records.jsonl import atomic_folder, read_json, write_text
from lidr.records.languages import english_name, primary
from lidr.tracking.hashes import dvc_hash

# The lab's prompts and base come with this package, under its licence.
LAB_LICENCE = "apache-2.0"
_README = "README.md"
_OWN = re.compile(rf"README\.md|m[0-9]+/({re.escape(paths.PAIRS)}|{re.escape(paths.DROPS)})")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write(settings: config.Settings, folder: Path, licence: str | None) -> tuple[int, int]:
    """Write the dataset to `folder`, in the place of an older one of its kind; returns how many pairs and drops it has.

    Raises InputError where the folder holds anything else, and where the licence is not known: what binds is that of
    the prompts and of the model.
    """
    licence = licence or _licence(settings)
    _expect_own(folder)
    audits = {iteration: drift.read(paths.audit(iteration) / paths.METRICS) for iteration in settings.iterations}
    with atomic_folder(folder) as new:
        for iteration in audits:
            (new / iteration).mkdir()
            for name in (paths.PAIRS, paths.DROPS):
                shutil.copyfile(paths.pairs(iteration) / name, new / iteration / name)
        write_text(new / _README, card(settings, audits, licence, new))
    counts = [audit["counts"] for audit in audits.values()]
    return sum(c["pairs"] for c in counts), sum(c["drops"] for c in counts)


def card(settings: config.Settings, audits: dict[str, Figures], licence: str, folder: Path) -> str:
    """The text of the card (templates/dataset_card.md): metadata, and what the data is, in figures and hashes."""
    base = read_json(paths.model(paths.BASE) / paths.RECORD, policy.BaseRecord)
    data = {iteration: settings.iteration(iteration).data for iteration in audits}
    pairs = {iteration: settings.of_iteration(iteration).pairs for iteration in audits}
    translators = {name: _translator(data[name]) for name in audits if pairs[name].reads("translations")}
    is_scored = any(block.reads("scores") for block in pairs.values())
    return render(
        "dataset_card.md",
        filters={"count": lambda value: f"{value:,}", "interval": interval, "of": _of},
        settings=settings,
        metadata=_metadata(settings, audits, licence, folder),
        audits=audits,
        judged=any("judged" in audit for audit in audits.values()),
        licence=licence,
        base=base,
        rules=_grouped({name: block.rule for name, block in pairs.items()}),
        authors=_grouped({name: settings.named_data(data[name]).by for name in audits}),
        translators=_grouped(translators),
        uses_gold=any("right" in block.filter_names for block in pairs.values()),
        # Scores are against a reference, which is another model.
        is_alone=not is_scored and not any(translators.values()),
        dominant=english_name(settings.dominant),
        others=", ".join(english_name(lang) for lang in settings.languages),
        files=[_file(folder, f"{iteration}/{name}") for iteration in audits for name in (paths.PAIRS, paths.DROPS)],
        commit=_commit(),
        parameters=json.dumps(_parameters(settings), ensure_ascii=False),
    )


def _grouped(values: dict[str, str]) -> dict[str, list[str]]:
    """The iterations by their value."""
    return {value: [name for name in values if values[name] == value] for value in values.values()}


def _translator(data: str) -> str:
    """The model that translated these answers; '' where it was the one that wrote them."""
    file = paths.translations(data) / RECORD
    return read_json(file, TranslatorRecord).model if file.exists() else ""


def _metadata(settings: config.Settings, audits: dict[str, Figures], licence: str, folder: Path) -> str:
    """What the Hub reads of the card, as YAML."""
    from huggingface_hub import DatasetCardData

    total = sum(audit["counts"]["pairs"] for audit in audits.values())
    # Empty files do not load.
    configs = [
        {"config_name": name, "data_files": f"{iteration}/{file}"}
        for iteration in audits
        for name, file in ((iteration, paths.PAIRS), (f"{iteration}-drops", paths.DROPS))
        if (folder / iteration / file).stat().st_size
    ]
    data = DatasetCardData(
        pretty_name=f"LIDR preference pairs ({settings.profile})",
        license=licence,
        language=[primary(code) for code in settings.all_languages],
        multilinguality="multilingual",
        source_datasets=["original"],
        annotations_creators="machine-generated",
        language_creators="machine-generated",
        task_categories=["text-generation"],
        size_categories=next((name for limit, name in _SIZES if total < limit), "n>1M"),
        tags=["preference", "dpo", "trl", "lidr"],
        configs=configs,
    )
    return data.to_yaml()


def _of(signal: Figures | None, lang: str) -> Figures:
    """The figures of one language, or of all, by gold answers or by a judge."""
    if signal is None:
        return {}
    found: Figures = signal["all"] if lang == "all" else signal["by_language"][lang]
    return found


def _file(folder: Path, name: str) -> dict[str, Any]:
    with (folder / name).open("rb") as rows:
        count = sum(1 for _ in rows)
    return {"name": name, "rows": count, "md5": dvc_hash(folder / name), "sha256": file_hash(folder / name)}


def _commit() -> str:
    try:
        return git("rev-parse", "HEAD")
    except LidrError:
        return "(outside of git)"


def _expect_own(folder: Path) -> None:
    """Raise InputError where the folder has a file that a card never writes: the whole folder is replaced."""
    for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder] if folder.exists() else []:
        name = file.relative_to(folder).as_posix()
        if not file.is_dir() and not _OWN.fullmatch(name):
            raise InputError(f"this folder holds something else ({name}); an empty or a new one is expected", folder)


def _licence(settings: config.Settings) -> str:
    if settings.prompts.source == config.LAB and settings.base.model == config.LAB:
        return LAB_LICENCE
    raise InputError(
        f"say the licence (--licence, by its identifier on the Hub): the prompts are from {settings.prompts.source!r} "
        f"and the answers by {settings.base.model!r}, and the licences of both bind"
    )


def _parameters(settings: config.Settings) -> dict[str, Any]:
    made_by = ("prompts.", "generate.", "translate.", "score.", "pairs.", "data.", "iterations.")
    blocks = ("seed", "dominant", "languages", *made_by)
    return {name: value for name, value in config.flatten(settings).items() if name.startswith(blocks)}
