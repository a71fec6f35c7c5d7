"""The reports of three models on twelve items in three languages, few enough to check every number by hand."""

from __future__ import annotations

from collections.abc import Callable

from factories import ROOT
from msgspec.structs import replace

from lidr import config, paths
from lidr.evaluation.harness import Harness
from lidr.records import Answer, FinishReason, Verdict
from lidr.records.jsonl import write_rows

ITEMS = 12
LANGUAGES = ("en", "es", "it")  # dominant, trained on, transfer

# How many of the twelve items, from the first, a model gets right; `it` gains three items and loses one.
RIGHT = {"m0": {"en": 11, "es": 2, "it": 5}, "m1": {"en": 11, "es": 4, "it": 5}, "m2": {"en": 11, "es": 12, "it": 8}}
# How many it wins against m0; the others are ties.
WINS = {"m0": {"en": 0, "es": 0, "it": 0}, "m1": {"en": 0, "es": 8, "it": 1}, "m2": {"en": 1, "es": 10, "it": 1}}

Change = Callable[[Answer], Answer]


def answer(model: str, lang: str, row: int) -> Answer:
    right = row < RIGHT[model][lang] and not (lang == "it" and model == "m2" and row == 0)
    return Answer(
        id=f"p-{row}",
        lang=lang,
        prompt=f"ask {row} {lang}",
        completion=f"{model} says {row}",
        finish_reason=FinishReason.LENGTH if model == "m0" and row == 11 else FinishReason.STOP,
        gold=str(row),
        right=right,
        strict=right,
        flexible=right,
        parsed=not (model == "m0" and row in (10, 11)),
        off_target=lang == "es" and model == "m0" and row >= 9,
    )


def verdict(model: str, lang: str, row: int) -> Verdict:
    return Verdict(
        id=f"i-{row}",
        lang=lang,
        prompt=f"do {row} {lang}",
        completion=f"{model} does {row}",
        baseline=f"m0 does {row}",
        preference=2.0 if row < WINS[model][lang] else 1.5,
        finish_reason=FinishReason.STOP,
        off_target=False,
        baseline_off_target=lang == "es" and row == 0,
    )


def write_answers(model: str, change: Change = lambda row: row) -> None:
    rows = [change(answer(model, lang, row)) for lang in LANGUAGES for row in range(ITEMS)]
    write_rows(paths.evaluation("mgsm", model) / paths.ANSWERS, rows)


def write_verdicts(model: str, change: Callable[[Verdict], Verdict] = lambda row: row) -> None:
    rows = [change(verdict(model, lang, row)) for lang in LANGUAGES for row in range(ITEMS)]
    write_rows(paths.evaluation("alpaca", model) / paths.VERDICTS, rows)


def make_project() -> config.Settings:
    """The reports of three models in the working folder; the baseline is m0."""
    for model in RIGHT:
        write_answers(model)
        write_verdicts(model)
    committed = config.load(ROOT / "params.yaml")
    return replace(
        committed,
        dominant="en",
        languages=("es",),
        models=("m0", "m1", "m2"),
        data={"m1": config.Data(by="m0"), "m2": config.Data(by="m1")},
        iterations={
            "m1": config.Iteration(previous="m0", data="m1"),
            "m2": config.Iteration(previous="m1", data="m2"),
        },
        mgsm=replace(committed.mgsm, languages=LANGUAGES),
        alpaca=replace(committed.alpaca, languages=LANGUAGES),
        baseline=config.Baseline(model="m0", source="models/m0"),
        harness=Harness(),
        compare=replace(committed.compare, confidence=0.95),
    )
