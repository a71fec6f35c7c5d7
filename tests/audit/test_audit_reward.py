"""Which texts are right, and the verdict on saturation."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_project import in_lab, settings

from lidr.audit import stage as audit
from lidr.audit.reward import GO_ON, REVERSED, STOP, TOO_FEW, recommendation, verdict
from lidr.lab import world
from lidr.pairs.gold import is_right
from lidr.records import Prompt, PromptKind, Source


def prompt(lang: str, answer: str | None, source: str = "gsm8k", kind: PromptKind = PromptKind.TASK) -> Prompt:
    fields = {} if answer is None else {"answer": answer}
    return Prompt(id="p", lang=lang, text="?", source=Source(name=source, row=0), kind=kind, **fields)


@pytest.mark.parametrize(
    ("text", "lang", "gold", "expected"),
    [
        ("Das sind 40.000 + 40.000 Dollar. Die Antwort lautet 80.000.", "de", "80,000", True),
        ("The answer is 58.", "en", "59", False),
        ("no number at all", "en", "59", False),
        ("The answer is 58.", "en", None, None),
        ("Paris", "en", "Paris", None),
        ("The answer is NaN", "en", "NaN", None),
        ("Die Antwort ist 70.000.", "de", "70.000", True),
        ("Die Antwort ist 70.", "de", "70.000", False),
        ("Die Antwort ist 1,5.", "de", "1,5", True),
        ("Die Antwort ist 15.", "de", "1,5", False),
        ("The answer is 72.", "en", "9 * 8 = 72\n#### 72", True),
        ("The answer is 18.", "en", "$18", True),
        ("La réponse est 1 000.", "fr", "1 000", True),
        ("The answer is -5.", "en", "\u22125", True),
        ("The answer is 70,000.", "en", "70.000", None),  # 70 or 70000
    ],
)
def test_numbers_are_compared_with_numeric_golds(text: str, lang: str, gold: str | None, expected: bool | None) -> None:
    assert is_right(text, prompt(lang, gold)) is expected


def test_a_translation_request_is_not_judged() -> None:
    assert is_right("59", prompt("en", "59", kind=PromptKind.TRANSLATION)) is None


def test_in_the_lab_the_language_counts_too() -> None:
    task = world.tasks("iterations", ("reverse",), 1, seed=1)[0]
    asked = prompt("ru", task.gold("ru"), source="lab/iterations")
    assert is_right(task.answer("ru"), asked) is True
    assert is_right(task.answer("en"), asked) is False


@pytest.mark.parametrize(
    ("better", "worse", "expected"),
    [
        (90, 10, GO_ON),
        (5, 0, GO_ON),
        (4, 0, TOO_FEW),
        (0, 0, TOO_FEW),
        (52, 48, STOP),
        (3, 3, STOP),
        (10, 90, REVERSED),
        (500_000, 499_000, STOP),
    ],
)
def test_verdict(better: int, worse: int, expected: str) -> None:
    assert verdict(better, worse, confidence=0.95)[0] == expected


@pytest.mark.parametrize(
    ("verdicts", "advice"),
    [
        (
            (GO_ON, GO_ON),
            "Go on: counting each prompt once, the chosen side is better for 90 prompts and worse for 10.",
        ),
        ((GO_ON, STOP), "Go on, though no longer for de, where"),
        ((STOP, STOP), "Stop: the signal is saturated"),
        ((REVERSED, REVERSED), "Stop: the signal points the wrong way"),
        ((TOO_FEW, TOO_FEW), "No verdict on saturation: counting each prompt once"),
        (
            ("no gold answers", "no gold answers"),
            "No verdict on saturation: no prompt of this iteration has a gold answer",
        ),
    ],
)
def test_recommendation(verdicts: tuple[str, str], advice: str) -> None:
    row = {"prompts_better": 90, "prompts_worse": 10, "verdict": verdicts[0]}
    figures = {"all": row, "by_language": {"en": row, "es": row, "de": row | {"verdict": verdicts[1]}}}
    assert recommendation({"reward": figures}, settings(("es", "de"))).startswith(advice)


def test_an_iteration_of_the_lab(folder: Path) -> None:
    chosen = settings(("es", "ru"))
    in_lab(chosen, 60).write(chosen)
    report = audit.run(chosen, "m1")
    reward, counts = report.figures["reward"], report.figures["counts"]
    assert reward["all"]["unjudged"] == 0
    assert reward["by_language"]["es"]["accuracy"] > 0.8
    assert reward["all"]["verdict"] == GO_ON
    assert counts["pairs"] + counts["drops"] == 60 * 4
    assert report.figures["fidelity"]["en-ru"]["exact_share"] > 0.8
    for evaluation in report.figures["contamination"].values():
        assert evaluation["prompt"]["exact"] == evaluation["chosen"]["exact"] == 0
        assert evaluation["prompt"]["near"] == 0
        assert evaluation["prompt"]["any"] > 0, "templates are shared"
