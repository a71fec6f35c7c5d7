"""Key figures of an iteration beside those of the one before.

The names are those of MLflow's metrics, so that a chart over iterations and this table show the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.errors import InputError
from lidr.records.jsonl import read_json

Figures = dict[str, Any]
Row = tuple[str, float | None, float | None]


def previous(settings: config.Settings, iteration: str) -> Figures | None:
    """The audit's figures of the iteration before, where there is one and it was audited."""
    name = settings.iteration(iteration).previous
    path = paths.audit(name) / paths.METRICS
    return read(path) if name in settings.iterations and path.is_file() else None


def read(path: Path) -> Figures:
    """Figures as `lidr audit` wrote them; raises InputError where they are not."""
    figures = read_json(path)
    if not {"iteration", "counts", "reward", "history"} <= set(figures):
        raise InputError("not the metrics of an audit; run `lidr audit` of that iteration again", path)
    return figures


def key_figures(figures: Figures) -> dict[str, float]:
    """An audit's key figures by flat names; those that were not measured are missing."""
    counts, pairs = figures["counts"], figures["counts"]["pairs"]
    flat: dict[str, float] = {name: counts[name] for name in ("prompts", "pairs", "drops")}
    flat |= {f"drops/{reason}": n for reason, n in counts["by_reason"].items()}
    for name, block in (("reward accuracy", "reward"), ("judged accuracy", "judged")):
        found = figures.get(block, {"all": {}, "by_language": {}})
        flat |= _by_language(name, found["by_language"], "accuracy")
        flat |= {name: found["all"]["accuracy"]} if "accuracy" in found["all"] else {}
    judge = figures.get("judged", {}).get("judge", {})
    flat |= {f"judge/{name.removeprefix('judge_')}": value for name, value in judge.items()}
    for side in ("chosen", "rejected"):
        flat |= _by_language(f"{side} right", figures["reward"]["by_language"], f"{side}_accuracy")
    for lang, by_side in figures["languages"].items():
        shares = {f"{lang} {side}": by_side[side] for side in ("chosen", "rejected")}
        flat |= _by_language("off target", shares, "off_target_share")
        flat |= _by_language("sentences in another language", shares, "other_sentences_share")
    for lang, lengths in figures["lengths"]["by_language"].items():
        flat |= {f"length difference/{lang}": lengths["difference"]["mean"]} if "mean" in lengths["difference"] else {}
    if pairs:
        near = sum(quality["near_identical"] for quality in figures["quality"]["by_language"].values())
        flat["near-identical"] = near / pairs
    flat |= _by_language("numbers kept", figures["fidelity"], "numbers_share")
    flat |= _by_language("answer kept", figures["fidelity"], "answer_share")
    flat |= _by_language("exact translation", figures["fidelity"], "exact_share")
    flat |= _by_language("round trip chrF", figures.get("round_trip", {}), "chrf")
    for name, evaluation in figures["contamination"].items():
        for kind in ("prompt", "chosen"):
            flat[f"contaminated exactly/{name} {kind}"] = evaluation[kind]["exact"]
    return flat


def table(figures: Figures, previous: Figures | None) -> list[Row]:
    """(name, before, now) of every key figure that either has."""
    now = key_figures(figures)
    before = key_figures(previous) if previous else {}
    return [(name, before.get(name), now.get(name)) for name in now | before]


def history(iteration: str, reward: Figures, previous: Figures | None) -> Figures:
    """Reward accuracy (by whatever decides) by iteration and language, from the first of the chain to this one."""
    names = ("accuracy", "low", "high")
    entries = {
        lang: {name: figures[name] for name in names}
        for lang, figures in reward["by_language"].items()
        if "low" in figures
    }
    return dict(previous["history"] if previous else {}) | {iteration: entries}


def _by_language(name: str, figures: Figures, key: str) -> dict[str, float]:
    return {f"{name}/{lang}": by_key[key] for lang, by_key in figures.items() if key in by_key}
