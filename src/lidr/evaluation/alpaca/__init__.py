"""The benchmark X-AlpacaEval: win rate on instructions, by a judge.

alpaca: {source: lab, languages: [en, es], max_new_tokens: 64, judge: {name: lab}}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lidr import paths
from lidr.config.evaluation import Generative, Judge, judge_problems
from lidr.config.section import Place, Problem
from lidr.evaluation.registry import SENTENCE_COUNTS, Benchmark, Counts, is_truncated
from lidr.records import TIE, Prompt, Verdict

if TYPE_CHECKING:
    from lidr.config import Settings

BASELINE = "baseline_"  # prefix of figures on the baseline's answers


class Alpaca(Generative, frozen=True, kw_only=True):
    """Win rate on instructions, as a judge sees it."""

    judge: Judge

    def sources(self) -> dict[Place, str | None]:
        return super().sources() | {("judge", *place): path for place, path in self.judge.sources().items()}

    def problems(self, settings: Settings) -> Iterator[Problem]:
        return judge_problems(self.judge, ("alpaca", "judge"), ("alpaca.source", self.source), settings)


class AlpacaBenchmark(Benchmark):
    """A judge's preferences over the baseline's answers."""

    name, title = "alpaca", "AlpacaEval"
    purpose = "Measure a model's win rate on instructions against the baseline."
    section, record, rank = Alpaca, Verdict, 2
    file = paths.VERDICTS
    measure, expected = "win rate", "baseline's answer"
    unit, baseline_level = 1.0, 50.0
    same = ("prompt", "baseline")
    counts: ClassVar[Counts] = {
        "off_target": lambda verdict: verdict.off_target,
        "unjudged": lambda verdict: verdict.preference is None,
        "truncated": is_truncated,
    }
    sums: ClassVar[tuple[str, ...]] = (
        *Benchmark.sums,
        *(BASELINE + name for name in SENTENCE_COUNTS),
        "judge_prompt_tokens",
        "judge_completion_tokens",
        "judge_cost",
    )
    of_places: ClassVar[tuple[str, ...]] = (*Benchmark.of_places, "standard_error", "lc_low", "lc_high")

    def inputs(self) -> list[Path]:
        return [paths.baseline()]

    def prompts(self, settings: Settings) -> list[Prompt]:
        from lidr.evaluation.alpaca import baseline

        return baseline.instructions(settings)

    def asked_models(self, settings: Settings) -> tuple[str, ...]:
        """All but the baseline, whose answers exist already."""
        return tuple(model for model in settings.models if model != settings.baseline.model)

    def what(self, settings: Settings) -> str:
        return f"instructions of source {self.source(settings)}, judge {settings.block(Alpaca).judge.name}"

    def expectation(self, row: Verdict) -> str:
        return row.baseline

    def score(self, row: Verdict) -> float | None:
        return None if row.preference is None else 100 * (row.preference - 1)

    def outcome(self, row: Verdict) -> tuple[str, bool | None]:
        won = winner(row)
        if won is None:
            return "not judged", None
        if won == 0:
            return "ties with the baseline", None
        return f"{'beats' if won > 0 else 'loses to'} the baseline ({row.preference:.2f})", won > 0


def winner(verdict: Verdict) -> int | None:
    """1 for the model, -1 for the baseline, 0 for a tie, None without a verdict.

    With both orders, a win is a win in both, and a loss a loss in both.
    """
    if verdict.preference is None:
        return None
    preferences = verdict.orders or (verdict.preference,)
    signs = {(p > TIE) - (p < TIE) for p in preferences if p is not None}
    return signs.pop() if len(signs) == 1 else 0


BENCHMARK = AlpacaBenchmark()
