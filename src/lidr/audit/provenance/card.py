"""The pairs as a dataset in Hugging Face's format: a folder with its card, to load or to share.

    $ lidr audit card --to hub
    hub: 4,410 pairs and 390 drops of m1, m2; share it with: hf upload NAME hub --repo-type dataset
    >>> datasets.load_dataset("hub", "m1", split="train")

The folder holds README.md (the card), and pairs.jsonl and drops.jsonl of each iteration, byte for byte those of the
pipeline. Each iteration is a configuration, and its drops are another, so that nothing is hidden by sharing.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.git import git
from lidr.models import policy
from lidr.models.policy import file_hash
from lidr.records.jsonl import atomic_folder, read_json, write_text
from lidr.records.languages import english_name
from lidr.tracking.hashes import dvc_hash

# The lab's prompts and base come with this package, under its licence.
LAB, LAB_LICENCE = "lab", "apache-2.0"
_README = "README.md"
_OWN = re.compile(rf"README\.md|m[0-9]+/({re.escape(paths.PAIRS)}|{re.escape(paths.DROPS)})")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True)
class Written:
    """What a card was written for."""

    iterations: tuple[str, ...]
    pairs: int
    drops: int


def write(settings: config.Settings, folder: Path, licence: str | None) -> Written:
    """Write the dataset to `folder`, in the place of an older one of its kind.

    Raises InputError where the folder holds anything else, and where the licence is not known: what binds is that of
    the prompts and of the model.
    """
    licence = licence or _licence(settings)
    _expect_own(folder)
    audits = {iteration: _audit(iteration) for iteration in settings.iterations}
    with atomic_folder(folder) as new:
        for iteration in audits:
            (new / iteration).mkdir()
            for name in (paths.PAIRS, paths.DROPS):
                shutil.copyfile(paths.pairs(iteration) / name, new / iteration / name)
        write_text(new / _README, card(settings, audits, licence, new))
    counts = [audit["counts"] for audit in audits.values()]
    return Written(tuple(audits), sum(c["pairs"] for c in counts), sum(c["drops"] for c in counts))


def card(settings: config.Settings, audits: dict[str, dict[str, Any]], licence: str, folder: Path) -> str:
    """The card's text: its metadata as YAML, then what the data is, in figures of the audit and hashes."""
    from huggingface_hub import DatasetCardData

    total = sum(audit["counts"]["pairs"] for audit in audits.values())
    data = DatasetCardData(
        pretty_name=f"LIDR preference pairs ({settings.profile})",
        license=licence,
        language=[code.split("-")[0] for code in settings.all_languages],
        multilinguality="multilingual",
        source_datasets=["original"],
        annotations_creators="machine-generated",
        language_creators="machine-generated",
        task_categories=["text-generation"],
        size_categories=next((name for limit, name in _SIZES if total < limit), "n>1M"),
        tags=["preference", "dpo", "trl", "lidr"],
        configs=_configs(audits, folder),
    )
    parts = [
        f"---\n{data.to_yaml()}\n---",
        f"# LIDR preference pairs ({settings.profile})",
        _about(settings, licence),
        "## Figures\n\n" + _figures(audits),
        "## Fields\n\n" + _FIELDS,
        "## Hashes\n\n" + _hashes(audits, folder),
        "## Made again\n\n" + _again(settings),
    ]
    return "\n\n".join(parts) + "\n"


def _expect_own(folder: Path) -> None:
    """Raise InputError where the folder has a file that a card never writes: the whole folder is replaced."""
    for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder] if folder.exists() else []:
        name = file.relative_to(folder).as_posix()
        if not file.is_dir() and not _OWN.fullmatch(name):
            raise InputError(f"this folder holds something else ({name}); an empty or a new one is expected", folder)


def _licence(settings: config.Settings) -> str:
    if settings.prompts.source == LAB and settings.base.model == LAB:
        return LAB_LICENCE
    raise InputError(
        f"say the licence (--licence, by its identifier on the Hub): the prompts are from {settings.prompts.source!r} "
        f"and the answers by {settings.base.model!r}, and the licences of both bind"
    )


def _audit(iteration: str) -> dict[str, Any]:
    path = paths.audit(iteration) / paths.METRICS
    figures = read_json(path)
    if not isinstance(figures, dict) or not {"counts", "reward"} <= figures.keys():
        raise InputError("not the metrics of an audit; run `lidr audit` of that iteration again", path)
    return figures


def _configs(audits: dict[str, dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """One for the pairs of each iteration and one for its drops, where there are any: empty files do not load."""
    listed = []
    for iteration in audits:
        for name, file in ((iteration, paths.PAIRS), (f"{iteration}-drops", paths.DROPS)):
            if (folder / iteration / file).stat().st_size:
                listed.append({"config_name": name, "data_files": f"{iteration}/{file}"})
    return listed


def _about(settings: config.Settings, licence: str) -> str:
    others = ", ".join(english_name(lang) for lang in settings.languages)
    base = read_json(paths.model(paths.BASE) / paths.RECORD, policy.BaseRecord)
    assert isinstance(base, policy.BaseRecord)
    revision = f" at revision {base.revision}" if base.revision else ""
    by = settings.translate.model
    translations, written = "its own translations", "Answers and translations"
    nobody = "No human label and no other model"
    if by is not None:
        translations = f"`{by if isinstance(by, str) else by.model}`'s translations"
        nobody, written = "No human label", "Answers"
    return (
        f"Preference pairs by Language Imbalance Driven Rewarding (arXiv 2410.08964): a model's own answers in "
        f"{english_name(settings.dominant)}, its dominant language, and in {others}, and {translations} of them. "
        f"{nobody} took part: *chosen* is the dominant answer, or its translation.\n\n"
        f"- Prompts: `{settings.prompts.source}`; `prompt_id` is a prompt's id there.\n"
        f"- {written} of m1's pairs: `{base.source}`{revision}, fingerprint (SHA-256) "
        f"`{base.fingerprint}`; of a later iteration's, the model trained on the pairs before.\n"
        f"- Licence: {licence}.\n"
        "- What is in it is what a model wrote, mistakes included: how often the chosen answer is the right one is in "
        "the figures. Pairs that could not be made are in the `-drops` configurations, each with its reason."
    )


def _figures(audits: dict[str, dict[str, Any]]) -> str:
    lines = ["| iteration | pairs in | pairs | drops | reward accuracy |", "| --- | --- | --: | --: | --: |"]
    for iteration, audit in audits.items():
        rows = {"all": (audit["counts"], audit["reward"]["all"])}
        rows |= {
            lang: (counts, audit["reward"]["by_language"][lang])
            for lang, counts in audit["counts"]["by_language"].items()
        }
        for lang, (counts, reward) in rows.items():
            right = (
                f"{reward['accuracy']:.3f} [{reward['low']:.3f}, {reward['high']:.3f}]" if "accuracy" in reward else "–"
            )
            lines.append(f"| {iteration} | {lang} | {counts['pairs']:,} | {counts['drops']:,} | {right} |")
    return "\n".join(lines) + (
        "\n\nReward accuracy: of the pairs on prompts with a gold answer in which just one side is right, the share in "
        "which that is the chosen one, with its interval (Wilson)."
    )


_FIELDS = (
    "TRL's conversational preference format and where the row comes from: `prompt`, `chosen`, `rejected` (lists of "
    "messages), `id`, `prompt_id`, `lang` (the pair's language), `other_lang` (the language compared with), `rule` "
    "(`translated_dominant`, `own_dominant` or `untranslated`), `chosen_from` and `rejected_from` (the answer or the "
    "translation that the text is, by its name)."
)


def _hashes(audits: dict[str, dict[str, Any]], folder: Path) -> str:
    lines = ["| file | rows | MD5 (DVC's) | SHA-256 |", "| --- | --: | --- | --- |"]
    for iteration in audits:
        for name in (paths.PAIRS, paths.DROPS):
            file = folder / iteration / name
            with file.open("rb") as rows:
                count = sum(1 for _ in rows)
            lines.append(f"| {iteration}/{name} | {count:,} | `{dvc_hash(file)}` | `{file_hash(file)}` |")
    return "\n".join(lines)


def _again(settings: config.Settings) -> str:
    try:
        commit = git("rev-parse", "HEAD")
    except LidrError:
        commit = "(outside of git)"
    return (
        f"Commit `{commit}` of the project, profile `{settings.profile}`: `dvc repro`, then `lidr audit verify` proves "
        "the hashes. Parameters of the pairs: `" + json.dumps(_parameters(settings), ensure_ascii=False) + "`."
    )


def _parameters(settings: config.Settings) -> dict[str, Any]:
    blocks = ("seed", "dominant", "languages", "prompts.", "generate.", "translate.", "pairs.")
    return {name: value for name, value in config.flatten(settings).items() if name.startswith(blocks)}
