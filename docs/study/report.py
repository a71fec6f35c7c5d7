"""docs/study.md: what the arms' experiments have in MLflow and git, claim by claim.

found = read(study(), {"lidr": "study-lidr-3f1c9a04", ...})
found.findings()[0].verdict      "holds"
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from arms import Claim, Study
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lidr import paths
from lidr.compare.comparison import Scores, paired_changes
from lidr.compare.pipelines import scores
from lidr.compare.report import number, p_value, signed
from lidr.errors import LidrError
from lidr.evaluation import statistics
from lidr.evaluation.registry import AVERAGE, benchmark_of
from lidr.git import git
from lidr.tracking import lookup
from lidr.tracking.lookup import Pipeline

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "study.md"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Finding:
    """A claim's test on the items that both models answered; `p` is adjusted for the number of claims (Holm)."""

    claim: Claim
    test: statistics.PairedTest
    p: float
    unit: float

    @property
    def verdict(self) -> str:
        if self.p >= 1 - CONFIDENCE:
            return "not shown"
        return "holds" if self.test.difference > 0 else "**the reverse holds**"

    @property
    def difference(self) -> str:
        low, high = (number(self.unit * value) for value in (self.test.low, self.test.high))
        return f"{signed(self.unit * self.test.difference)} [{low}, {high}]"

    @property
    def p_value(self) -> str:
        # Three decimals may not say on which side of the level it is.
        is_close = round(self.p, 3) == round(1 - CONFIDENCE, 3)
        return f"p = {self.p:.5f}" if is_close else p_value(self.p)


@dataclass(frozen=True)
class Row:
    """One model of one arm in the table of all: means over languages in percent, by benchmark and group."""

    arm: str
    model: str
    pairs: int | None
    accuracy: str
    levels: dict[tuple[str, str], str]


@dataclass(frozen=True)
class Results:
    """By arm: its pipeline in MLflow, and the figures of its audits by iteration."""

    study: Study
    pipelines: dict[str, Pipeline]
    audits: dict[str, dict[str, dict[str, Any]]]

    def scores(self, benchmark: str, arm: str) -> dict[str, Scores]:
        return scores(benchmark_of(benchmark), self.pipelines[arm])

    def level(self, benchmark: str, arm: str, model: str, languages: str) -> float:
        own = self.scores(benchmark, arm)[model]
        means = [fmean(own[lang].values()) for lang in self.study.languages[languages]]
        return benchmark_of(benchmark).unit * fmean(means)

    def test(self, claim: Claim) -> statistics.PairedTest:
        """`better` less `than`: the average over the languages, tested over items."""
        benchmark, places = benchmark_of(claim.benchmark), self.study.languages[claim.languages]
        models = [self.scores(claim.benchmark, arm)[model] for arm, model in (claim.than, claim.better)]
        first, second = ({lang: model[lang] for lang in places} for model in models)
        return paired_changes(benchmark, claim.says, first, second, {AVERAGE: tuple(places)}, CONFIDENCE)[AVERAGE]

    def findings(self) -> list[Finding]:
        tests = [self.test(claim) for claim in self.study.claims]
        adjusted = list(statistics.holm({str(place): test.p_value for place, test in enumerate(tests)}).values())
        rows = zip(self.study.claims, tests, adjusted, strict=True)
        return [Finding(claim, test, p, benchmark_of(claim.benchmark).unit) for claim, test, p in rows]

    def rows(self) -> list[Row]:
        """All models that an arm made, and the base once."""
        first = next(iter(self.pipelines))
        made = [(arm, model) for arm in self.pipelines for model in self.audits[arm]]
        return [self._row(arm, model) for arm, model in [(first, paths.BASE), *made]]

    def _row(self, arm: str, model: str) -> Row:
        audit = self.audits[arm].get(model)
        accuracy = audit["reward"]["all"] if audit else {}
        return Row(
            arm=arm,
            model=model,
            pairs=audit["counts"]["pairs"] if audit else None,
            accuracy=f"{accuracy['accuracy']:.3f}" if "accuracy" in accuracy else "",
            levels={
                (benchmark, group): number(self.level(benchmark, arm, model, group))
                for benchmark in ("mgsm", "alpaca")
                for group in ("dominant", "others", "unseen")
            },
        )

    def seeds(self) -> list[dict[str, str]]:
        """For each benchmark and group: the first iteration's levels by seed, and how far they lie apart."""
        return [self._seeds(benchmark, group) for benchmark in ("mgsm", "alpaca") for group in ("dominant", "others")]

    def _seeds(self, benchmark: str, group: str) -> dict[str, str]:
        levels = [self.level(benchmark, arm, "m1", group) for arm in self.study.seeds]
        own = self.scores(benchmark, self.study.seeds[0])["m1"]
        places = {lang: own[lang] for lang in self.study.languages[group]}
        half = statistics.macro_interval(places, CONFIDENCE, benchmark_of(benchmark).highest)
        return {
            "what": benchmark_of(benchmark).title,
            "group": group,
            "levels": " · ".join(number(level) for level in levels),
            "deviation": f"{stdev(levels):.1f}",
            "interval": f"{benchmark_of(benchmark).unit * (half.high - half.low) / 2:.1f}",
        }


def read(study: Study, experiments: Mapping[str, str]) -> Results:
    """What MLflow and git have of the experiments, by arm; raises LidrError where one is missing."""
    found = {arm: lookup.read(name) for arm, name in experiments.items()}
    commits = _commits()
    if missing := [name for name in experiments.values() if name not in commits]:
        raise LidrError(f"DVC has no experiment {missing[0]!r}")
    return Results(
        study=study,
        pipelines=found,
        audits={arm: _audits(commits[name], found[arm]) for arm, name in experiments.items()},
    )


def write(study: Study, experiments: Mapping[str, str], minutes: Mapping[str, str]) -> None:
    """Write docs/study.md; `minutes` is what each arm took."""
    environment = Environment(
        loader=FileSystemLoader(HERE), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    found = read(study, experiments)
    text = environment.get_template("study.md.jinja").render(study=study, found=found, minutes=minutes)
    DOCUMENT.write_text(text.rstrip() + "\n", encoding="utf-8")
    print(f"{DOCUMENT.relative_to(HERE.parents[1])} is written")


def _commits() -> dict[str, str]:
    """The commit of each of DVC's experiments, by name; on equal names the one that git lists last."""
    lines = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
    return {name.rpartition("/")[2]: commit for commit, _, name in (line.partition(" ") for line in lines)}


def _audits(commit: str, pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """The audit's figures of each iteration, as the experiment's commit has them."""
    made = [name for name in pipeline.rows[0] if name.startswith("m") and name[1:].isdigit() and name != paths.BASE]
    return {name: json.loads(git("show", f"{commit}:{paths.audit(name) / paths.METRICS}")) for name in made}
