"""The registry of benchmarks: each package of lidr.evaluation that has a `BENCHMARK` is one.

    >>> benchmark_of("mgsm").path("m1")
    PosixPath('reports/mgsm/m1/answers.jsonl')

The package's `__init__` declares a subclass of `Benchmark` and its block of params.yaml. Its module `stage` has
`run(settings, model)`, which writes the rows and metrics.json. All other code (the commands, params.yaml,
`lidr compare`, MLflow, `promote`, `plan`, `doctor`, the audit's contamination) iterates over `benchmarks()`. The
command line imports the declarations, so they import heavy libraries inside functions.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from lidr import config, evaluation, paths
from lidr.config.section import Section
from lidr.errors import InputError
from lidr.evaluation import statistics
from lidr.records import FinishReason, Prompt

Groups = dict[str, tuple[str, ...]]  # places by name of the group
Counts = dict[str, Callable[[Any], bool | None]]  # None for a row in which it was not measured
Metrics = dict[str, dict[str, float]]  # figures by place, with their plain average under `average`

# Beside the share `code_switching`: the number of judged sentences, and of answers in which none was judged.
SENTENCE_COUNTS = ("code_switching_sentences", "code_switching_abstained")

# Groups of places whose average is reported beside the places.
AVERAGE, TRAINED, TRANSFER = "average", "trained", "transfer"


def is_truncated(row: Any) -> bool:
    return row.finish_reason is FinishReason.LENGTH


class Benchmark:
    """Base class of benchmarks; the defaults fit one of right and wrong answers in several languages.

    A figure belongs to a place: a language or a task. An item's row has `id`, `lang`, `prompt`, `completion` and the
    fields that the methods below read.
    """

    name: ClassVar[str]  # of the package, the stage, the command and the block of params.yaml
    title: ClassVar[str]
    purpose: ClassVar[str]  # the command's help
    section: ClassVar[type[Section]]
    record: ClassVar[type[Any]]  # of a row
    file: ClassVar[str] = paths.ANSWERS
    rank: ClassVar[int] = 9  # order in tables
    measure: ClassVar[str] = "accuracy"
    expected: ClassVar[str] = "gold answer"  # what `expectation` is called
    unit: ClassVar[float] = 100.0  # of a score, in percentage points
    baseline_level: ClassVar[float | None] = None  # level of a model as good as the baseline
    by: ClassVar[str] = "language"  # what a place is: "language" or "task"
    is_parallel: ClassVar[bool] = True  # whether all places have the same items, translated
    same: ClassVar[tuple[str, ...]] = ("prompt", "gold")  # fields that are equal in all models' rows of an item
    # Defects of an answer beside its score, which reports count.
    counts: ClassVar[Counts] = {}
    # Figures that are summed over places instead of averaged, and figures without an average: an interval of the
    # average needs the items, which `lidr compare` has.
    sums: ClassVar[tuple[str, ...]] = (*SENTENCE_COUNTS, "n")
    of_places: ClassVar[tuple[str, ...]] = ("low", "high")

    # --- files and settings

    def folder(self, model: str) -> Path:
        return paths.evaluation(self.name, model)

    def path(self, model: str) -> Path:
        """The model's rows."""
        return self.folder(model) / self.file

    def inputs(self) -> list[Path]:
        """The files that the stage reads beside the model."""
        return []

    def block(self, settings: config.Settings) -> Any:
        """Its own block of params.yaml."""
        return getattr(settings, self.name)

    def source(self, settings: config.Settings) -> str:
        """Where its items come from."""
        return str(self.block(settings).source)

    def run(self, settings: config.Settings, model: str) -> Metrics:
        """The stage: measure a model, write rows and figures, and return these; empty if nothing is configured."""
        metrics: Metrics = self.stage().run(settings, model)
        return metrics

    def stage(self) -> Any:
        """Its module `stage`, imported by name: code that only reads answers does not depend on it."""
        return import_module(f"{evaluation.__name__}.{self.name}.stage")

    def figures(self, report: dict[str, Any]) -> Metrics:
        """The figures by place from the content of the stage's metrics.json."""
        return report

    def prompts(self, settings: config.Settings) -> list[Prompt]:
        """All items as texts that training data must not contain; none if they are not known beforehand."""
        return []

    def asked_models(self, settings: config.Settings) -> tuple[str, ...]:
        """The models whose answers the stage generates."""
        return settings.models

    # --- reports

    @property
    def level_name(self) -> str:
        """The level's name in every metrics.json."""
        return self.measure.replace(" ", "_")

    def places(self, settings: config.Settings) -> tuple[str, ...]:
        """Empty if the benchmark is not part of this pipeline."""
        return tuple(self.block(settings).languages)

    def groups(self, settings: config.Settings, places: Sequence[str]) -> Groups:
        """Groups of places whose average is reported: all, the languages trained on, and the others, if any."""
        trained = tuple(lang for lang in places if lang in settings.all_languages)
        transfer = tuple(lang for lang in places if lang not in settings.all_languages)
        groups = {AVERAGE: tuple(places), TRAINED: trained, TRANSFER: transfer}
        return {name: members for name, members in groups.items() if members}

    def what(self, settings: config.Settings) -> str:
        """A short description of the items."""
        return f"problems of source {self.source(settings)}"

    def notes(self, settings: config.Settings) -> list[str]:
        """Remarks for readers of the figures."""
        return []

    # --- rows

    def place(self, row: Any) -> str:
        return str(row.lang)

    def expectation(self, row: Any) -> str:
        return str(row.gold)

    def score(self, row: Any) -> float | None:
        """The score of a row, or None if it was not judged."""
        return float(row.right)

    def outcome(self, row: Any) -> tuple[str, bool | None]:
        """The score in words, and whether it is good; None if it is neither."""
        return ("right", True) if self.score(row) else ("wrong", False)

    def counted(self, rows: Sequence[Any]) -> dict[str, list[bool]]:
        """Each count's values in the rows in which it was measured; without counts that no row has."""
        found = {
            name: [value for row in rows if (value := holds(row)) is not None] for name, holds in self.counts.items()
        }
        return {name: values for name, values in found.items() if values}

    # --- statistics: Wilson's interval and McNemar's test if all scores are right or wrong, else Student's t

    @property
    def highest(self) -> float:
        """The best score; the worst is 0."""
        return 100 / self.unit

    def level(self, scores: Sequence[float], confidence: float) -> statistics.Interval:
        if self._are_right_or_wrong(scores):
            return statistics.wilson(round(sum(scores)), len(scores), confidence)
        return statistics.mean_interval(scores, confidence, self.highest)

    def change(self, first: Sequence[float], second: Sequence[float], confidence: float) -> statistics.PairedTest:
        if self._are_right_or_wrong([*first, *second]):
            before, after = ([score == 1 for score in scores] for scores in (first, second))
            return statistics.paired_accuracy_test(before, after, confidence)
        return statistics.paired_difference(first, second, confidence, self.highest)

    def _are_right_or_wrong(self, scores: Sequence[float]) -> bool:
        return self.highest == 1 and all(score in (0, 1) for score in scores)


@cache
def benchmarks() -> tuple[Benchmark, ...]:
    """All benchmarks, in the order of tables."""
    packages = [module.name for module in pkgutil.iter_modules(evaluation.__path__) if module.ispkg]
    declared = [getattr(import_module(f"{evaluation.__name__}.{name}"), "BENCHMARK", None) for name in packages]
    return tuple(sorted(filter(None, declared), key=lambda benchmark: (benchmark.rank, benchmark.name)))


def benchmark_of(name: str) -> Benchmark:
    """The benchmark of this name; raises InputError if there is none."""
    for benchmark in benchmarks():
        if benchmark.name == name:
            return benchmark
    raise InputError(f"no benchmark {name!r}; there are {', '.join(one.name for one in benchmarks())}")
