"""The benchmark of other abilities, by tasks of lm-evaluation-harness.

harness: {tasks: [m_mmlu_es, xstorycloze_ru], num_fewshot: 5, limit: 500}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lidr import paths
from lidr.config.section import Count, Place, Problem, Section, WholeNumber
from lidr.errors import InputError
from lidr.evaluation.registry import AVERAGE, Benchmark, Groups, Metrics
from lidr.records import HarnessItem
from lidr.records.jsonl import read_json

if TYPE_CHECKING:
    from lidr.config import Settings


class Harness(Section, frozen=True):
    """Other abilities, by tasks of lm-evaluation-harness, with the keys of `lm_eval.simple_evaluate`.

    `tasks` are its tasks, groups or tags, or those of the YAML files in the folder `include_path`: one within
    data/sources, or `lab`. Without tasks the stage does nothing.
    """

    free_texts: ClassVar[tuple[str, ...]] = ("system_instruction",)

    tasks: tuple[str, ...] = ()
    num_fewshot: WholeNumber | None = None
    limit: Count | None = None
    batch_size: Count | Literal["auto"] = 16
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None
    include_path: str | None = None

    def sources(self) -> dict[Place, str | None]:
        return {("include_path",): self.include_path}

    def problems(self, settings: Settings) -> list[Problem]:
        if len(set(self.tasks)) != len(self.tasks):
            return [(("harness", "tasks"), "each task once is expected")]
        return []


class HarnessBenchmark(Benchmark):
    """Each task by its first metric; a place is a task, and tasks need not have the same items."""

    name, title = "harness", "lm-evaluation-harness"
    purpose = "Measure a model's other abilities by tasks of lm-evaluation-harness."
    section, record, rank = Harness, HarnessItem, 3
    file = paths.ITEMS
    measure, expected = "score", "right"
    by, is_parallel = "task", False
    same = ("version", "metric", "prompt", "gold")

    def source(self, settings: Settings) -> str:
        return settings.block(Harness).include_path or self.title

    def figures(self, report: dict[str, Any]) -> Metrics:
        measured = report["tasks"] | ({AVERAGE: report[AVERAGE]} if report["tasks"] else {})
        return {
            task: {name: value for name, value in figures.items() if not isinstance(value, str)}
            for task, figures in measured.items()
        }

    def places(self, settings: Settings) -> tuple[str, ...]:
        """The tasks that m0 was asked: a name in params.yaml may stand for several."""
        return tuple(self._family_of_task()) if settings.block(Harness).tasks else ()

    def groups(self, settings: Settings, places: Sequence[str]) -> Groups:
        """All tasks, and each family: one task in several languages."""
        families: dict[str, list[str]] = {}
        for task, family in self._family_of_task().items():
            families.setdefault(family, []).append(task)
        several = {name: tuple(members) for name, members in families.items() if 1 < len(members) < len(places)}
        return {AVERAGE: tuple(places)} | several

    def what(self, settings: Settings) -> str:
        harness = settings.block(Harness)
        limit = "" if harness.limit is None else f", at most {harness.limit:,} items of each"
        return f"tasks {', '.join(harness.tasks)} of lm-evaluation-harness{limit}"

    def place(self, row: HarnessItem) -> str:
        return row.task

    def score(self, row: HarnessItem) -> float:
        return row.score

    def outcome(self, row: HarnessItem) -> tuple[str, bool | None]:
        if row.score in (0, 1):
            return ("right", True) if row.score else ("wrong", False)
        return f"{row.metric} {row.score:.2f}", None

    def _family_of_task(self) -> dict[str, str]:
        path = self.folder(paths.BASE) / paths.METRICS
        tasks = read_json(path).get("tasks")
        if not tasks:
            raise InputError("no task has results; run `lidr harness m0` again", path)
        return {task: figures["family"] for task, figures in tasks.items()}


BENCHMARK = HarnessBenchmark()
