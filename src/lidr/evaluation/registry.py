"""The registry of benchmarks: where their rows lie, how a row is scored, which interval and test fit.

    >>> rows = read(MGSM, ["m0", "m1"], ["en", "es"])
    >>> MGSM.score(rows["m1"]["lab-3:es"])
    1.0

All that compares models (`lidr compare`, its page, plots, MLflow's curves, `lidr promote`) goes over `KINDS`. A figure
belongs to a place: a language, or a task of lm-evaluation-harness. Rows are joined by `id:place`, never by position: a
row that one model has and another lacks is an error, and so is a row whose problem is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.errors import InputError
from lidr.evaluation import statistics
from lidr.records import TIE, Answer, FinishReason, HarnessItem, Verdict
from lidr.records.jsonl import read_by_key, read_json

Rows = dict[str, Any]  # an Answer, a Verdict or a HarnessItem by `id:place`, in file order
Groups = dict[str, tuple[str, ...]]  # places by the name of their group

# Groups of places whose average is reported beside the places.
AVERAGE, TRAINED, TRANSFER = "average", "trained", "transfer"


@dataclass(frozen=True)
class Kind:
    """What is particular to a benchmark.

    `is_parallel` tells that all places have the same items, translated. `places` is empty where an optional benchmark
    is not a part of this pipeline.
    """

    name: str
    title: str
    measure: str
    expected: str
    unit: float
    middle: float | None
    folder: Callable[[str], Path]
    file: str
    record: type[Any]
    by: str  # what a place is: language or task
    is_parallel: bool
    is_optional: bool
    places: Callable[[config.Settings], tuple[str, ...]]
    what: Callable[[config.Settings], str]
    groups: Callable[[config.Settings, Sequence[str]], Groups]
    place: Callable[[Any], str]  # of a row
    expectation: Callable[[Any], str]  # of a row
    same: tuple[str, ...]  # fields that all models' rows of an item share
    score: Callable[[Any], float | None]
    counts: dict[str, Callable[[Any], bool]]
    outcome: Callable[[Any], tuple[str, bool | None]]
    # Of scores; further arguments are the confidence, the seed and the number of resamples.
    level: Callable[[Sequence[float], float, int, int], statistics.Interval]
    change: Callable[[Sequence[float], Sequence[float], float, int, int], statistics.Comparison]

    def path(self, model: str) -> Path:
        return self.folder(model) / self.file


def read(kind: Kind, models: Sequence[str], places: Sequence[str]) -> dict[str, Rows]:
    """All models' rows, of the same items in the same order."""
    first, *others = models
    rows = {first: _read_file(kind, kind.path(first), places)}
    for model in others:
        own = _read_file(kind, kind.path(model), places)
        _check_same_items(kind, rows[first], own, kind.path(first), kind.path(model))
        rows[model] = {key: own[key] for key in rows[first]}
    return rows


def _read_file(kind: Kind, path: Path, places: Sequence[str]) -> Rows:
    by_key = read_by_key(path, kind.record, key=lambda row: f"{row.id}:{kind.place(row)}")
    rows: Rows = {str(key): row for key, row in by_key.items()}
    ids: dict[str, dict[str, None]] = {place: {} for place in places}
    for key, row in rows.items():
        if kind.place(row) not in ids:
            raise InputError(f"a row for {key!r}; expected are rows in {', '.join(ids)}", path)
        ids[kind.place(row)][row.id] = None
    if kind.is_parallel:
        _check_parallel(ids, path)
    return rows


def _check_parallel(ids: dict[str, dict[str, None]], path: Path) -> None:
    every = {item: lang for lang in ids for item in ids[lang]}
    for lang in ids:
        for item, other in every.items():
            if item not in ids[lang]:
                raise InputError(f"no row for '{item}:{lang}'; {other!r} has the item, each language must", path)


def language_groups(settings: config.Settings, languages: Sequence[str]) -> Groups:
    """All languages, those that are trained on (the dominant one among them), and those that are not; none empty."""
    trained = tuple(lang for lang in languages if lang in settings.all_languages)
    transfer = tuple(lang for lang in languages if lang not in settings.all_languages)
    groups = {AVERAGE: tuple(languages), TRAINED: trained, TRANSFER: transfer}
    return {name: members for name, members in groups.items() if members}


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


# --- the benchmarks --------------------------------------------------------------------------------------------------


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


def _tasks(settings: config.Settings) -> tuple[str, ...]:
    """The tasks that m0 was asked: names in params.yaml may stand for several."""
    return tuple(_family_of_task()) if settings.harness.tasks else ()


def _family_of_task() -> dict[str, str]:
    path = paths.harness(paths.BASE) / paths.METRICS
    report = read_json(path)
    tasks = report.get("tasks") if isinstance(report, dict) else None
    if not tasks:
        raise InputError("no task has results; run `lidr harness m0` again", path)
    return {task: figures["family"] for task, figures in tasks.items()}


def _families(settings: config.Settings, tasks: Sequence[str]) -> Groups:
    """All tasks, and those that are one task in several languages."""
    families: dict[str, list[str]] = {}
    for task, family in _family_of_task().items():
        families.setdefault(family, []).append(task)
    several = {name: tuple(members) for name, members in families.items() if 1 < len(members) < len(tasks)}
    return {AVERAGE: tuple(tasks)} | several


def _asked_tasks(settings: config.Settings) -> str:
    harness = settings.harness
    limit = "" if harness.limit is None else f", at most {harness.limit:,} items of each"
    return f"tasks {', '.join(harness.tasks)} of lm-evaluation-harness{limit}"


def _by_score(item: HarnessItem) -> tuple[str, bool | None]:
    if item.score in (0, 1):
        return ("right", True) if item.score else ("wrong", False)
    return f"{item.metric} {item.score:.2f}", None


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
    by="language",
    is_parallel=True,
    is_optional=False,
    places=lambda settings: settings.mgsm.languages,
    what=lambda settings: f"problems of source {settings.mgsm.source}",
    groups=language_groups,
    place=lambda answer: answer.lang,
    expectation=lambda answer: answer.gold,
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
    by="language",
    is_parallel=True,
    is_optional=False,
    places=lambda settings: settings.alpaca.languages,
    what=lambda settings: f"instructions of source {settings.alpaca.source}, judge {settings.alpaca.judge.name}",
    groups=language_groups,
    place=lambda verdict: verdict.lang,
    expectation=lambda verdict: verdict.baseline,
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

HARNESS = Kind(
    name="harness",
    title="lm-evaluation-harness",
    measure="score",
    expected="right",
    unit=100.0,
    middle=None,
    folder=paths.harness,
    file=paths.ITEMS,
    record=HarnessItem,
    by="task",
    is_parallel=False,
    is_optional=True,
    places=_tasks,
    what=_asked_tasks,
    groups=_families,
    place=lambda item: item.task,
    expectation=lambda item: item.gold,
    same=("version", "metric", "prompt", "gold"),
    score=lambda item: item.score,
    counts={},
    outcome=_by_score,
    level=statistics.share_interval,
    change=statistics.share_comparison,
)

KINDS = (MGSM, ALPACA, HARNESS)
