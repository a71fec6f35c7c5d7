"""What the commands of several stages share: how a stage is run and logged, and how its figures are printed.

>>> with_interval("es", {"accuracy": 0.7, "low": 0.64, "high": 0.75}, "accuracy", ".2f")
'es 0.70 [0.64, 0.75]'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lidr import config, paths
from lidr.records import Answer, Pair, Prompt, Verdict

if TYPE_CHECKING:
    from lidr.tracking import StageRun

Metrics = dict[str, dict[str, float]]
# What an evaluation asks; the rest of a row is what the model made of it.
_ITEM = ("id", "lang", "prompt", "gold", "baseline")


@contextmanager
def tracked(
    settings: config.Settings,
    stage: str,
    model: str | None,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    **options: Any,
) -> Iterator[StageRun]:
    """Run a stage as the only process at work on its output, and log it."""
    from lidr.locks import alone
    from lidr.tracking import stage_run

    with alone(outputs[0]), stage_run(settings, stage, model, inputs, outputs, **options) as run:
        yield run


def log_evaluation(
    run: Any, benchmark: str, source: str, model: str, metrics: Metrics, table: Path, record: type[Answer | Verdict]
) -> None:
    """A model's figures on the benchmark's items, and the table of all rows with its answers."""
    from lidr.jsonl import read_rows

    items = [{name: getattr(row, name) for name in _ITEM if hasattr(row, name)} for row in read_rows(table, record)]
    run.log_evaluation(by_language(metrics), paths.model(model), f"{benchmark} {Path(source).name}", source, items)
    run.log_table(table, f"{table.stem}.json")


def by_language(metrics: Metrics) -> dict[str, float]:
    return {f"{name}/{lang}": value for lang, figures in metrics.items() for name, value in figures.items()}


def with_interval(lang: str, figures: dict[str, float], name: str, form: str) -> str:
    interval = f" [{figures['low']:{form}}, {figures['high']:{form}}]" if "low" in figures else ""
    return f"{lang} {figures[name]:{form}}{interval}"


def rows_by_language(files: Iterable[Path], record: type[Pair | Prompt]) -> dict[str, int]:
    from lidr.jsonl import read_rows

    return dict(Counter(row.lang for file in files for row in read_rows(file, record)))
