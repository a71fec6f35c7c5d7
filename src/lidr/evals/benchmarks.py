"""The benchmarks that are compared: where their rows lie, how a row is scored, which interval and test fit.

    >>> rows = read(MGSM, ["m0", "m1"], ["en", "es"])
    >>> MGSM.score(rows["m1"]["lab-3:es"])
    1.0

Rows are joined by `id:lang`, never by position: a row that one model has and another lacks is an error, and so is a
row whose problem is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lidr import paths
from lidr.errors import InputError
from lidr.evals import statistics
from lidr.jsonl import read_by_key
from lidr.records import TIE, Answer, FinishReason, Verdict

Rows = dict[str, Any]  # an Answer or a Verdict by `id:lang`, in file order


@dataclass(frozen=True)
class Kind:
    """What is particular to a benchmark."""

    name: str
    title: str
    measure: str
    expected: str
    unit: float
    middle: float | None
    folder: Callable[[str], Path]
    file: str
    record: type[Any]
    same: tuple[str, ...]  # fields that all models' rows of an item share
    score: Callable[[Any], float | None]
    counts: dict[str, Callable[[Any], bool]]
    outcome: Callable[[Any], tuple[str, bool | None]]
    # Of scores; further arguments are the confidence, the seed and the number of resamples.
    level: Callable[[Sequence[float], float, int, int], statistics.Interval]
    change: Callable[[Sequence[float], Sequence[float], float, int, int], statistics.Comparison]

    def path(self, model: str) -> Path:
        return self.folder(model) / self.file


def read(kind: Kind, models: Sequence[str], languages: Sequence[str]) -> dict[str, Rows]:
    """All models' rows, of the same items in the same order."""
    first, *others = models
    rows = {first: _read_file(kind.path(first), kind.record, languages)}
    for model in others:
        own = _read_file(kind.path(model), kind.record, languages)
        _check_same_items(kind, rows[first], own, kind.path(first), kind.path(model))
        rows[model] = {key: own[key] for key in rows[first]}
    return rows


def _read_file(path: Path, record: type[Any], languages: Sequence[str]) -> Rows:
    rows: Rows = {str(key): row for key, row in read_by_key(path, record, key=lambda r: f"{r.id}:{r.lang}").items()}
    ids: dict[str, dict[str, None]] = {lang: {} for lang in languages}
    for row in rows.values():
        if row.lang not in ids:
            raise InputError(f"a row for {row.id + ':' + row.lang!r}; expected are rows in {', '.join(ids)}", path)
        ids[row.lang][row.id] = None
    every = {item: lang for lang in languages for item in ids[lang]}
    for lang in languages:
        for item, other in every.items():
            if item not in ids[lang]:
                raise InputError(f"no row for '{item}:{lang}'; {other!r} has the item, each language must", path)
    return rows


def _check_same_items(kind: Kind, first: Rows, own: Rows, first_path: Path, path: Path) -> None:
    for key in first:
        if key not in own:
            raise InputError(f"no row for {key!r}, which {first_path} has; the same items are expected", path)
    for key, row in own.items():
        if key not in first:
            raise InputError(f"a row for {key!r}, which {first_path} lacks; the same items are expected", path)
        for field in kind.same:
            if getattr(row, field) != getattr(first[key], field):
                raise InputError(f"{key!r} has another {field} than in {first_path}; rerun the older one", path)


# --- the two benchmarks ----------------------------------------------------------------------------------------------


def _win_rate(verdict: Verdict) -> float | None:
    return None if verdict.preference is None else 100 * (verdict.preference - 1)


def _against_baseline(verdict: Verdict) -> tuple[str, bool | None]:
    preference = verdict.preference
    if preference is None:
        return "not judged", None
    if preference == TIE:
        return "ties with the baseline", None
    verb = "beats" if preference > TIE else "loses to"
    return f"{verb} the baseline ({preference:.2f})", preference > TIE


def _right_or_wrong(answer: Answer) -> tuple[str, bool | None]:
    return ("right", True) if answer.right else ("wrong", False)


def _is_truncated(row: Answer | Verdict) -> bool:
    return row.finish_reason is FinishReason.LENGTH


MGSM = Kind(
    name="mgsm",
    title="MGSM",
    measure="accuracy",
    expected="gold answer",
    unit=100.0,
    middle=None,
    folder=paths.mgsm,
    file=paths.ANSWERS,
    record=Answer,
    same=("prompt", "gold"),
    score=lambda answer: float(answer.right),
    counts={
        "off_target": lambda answer: answer.off_target,
        "unparseable": lambda answer: not answer.parsed,
        "truncated": _is_truncated,
    },
    outcome=_right_or_wrong,
    level=lambda values, confidence, *_: statistics.wilson(round(sum(values)), len(values), confidence),
    change=lambda first, second, confidence, *_: statistics.paired_accuracy_test(
        [value == 1 for value in first], [value == 1 for value in second], confidence
    ),
)

ALPACA = Kind(
    name="alpaca",
    title="AlpacaEval",
    measure="win rate",
    expected="baseline's answer",
    unit=1.0,
    middle=50.0,
    folder=paths.alpaca,
    file=paths.VERDICTS,
    record=Verdict,
    same=("prompt", "baseline"),
    score=_win_rate,
    counts={
        "off_target": lambda verdict: verdict.off_target,
        "unjudged": lambda verdict: verdict.preference is None,
        "truncated": _is_truncated,
    },
    outcome=_against_baseline,
    level=statistics.mean_interval,
    change=statistics.paired_difference,
)
