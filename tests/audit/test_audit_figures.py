"""All figures of the audit of a small handmade iteration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_project import Made, settings, two_sided

from lidr import paths
from lidr.audit import stage as audit
from lidr.audit.drift import key_figures
from lidr.audit.report import Report
from lidr.evaluation.statistics import wilson
from lidr.records import FinishReason

EN, ES = "The answer to the question is {}.", "La respuesta a la pregunta es {}."
LONG_EN = "First the bakers count all the loaves on the shelf. " + EN
LONG_ES = "Primero los panaderos cuentan todos los panes del estante. " + ES


def by_hand() -> Made:
    """Ten prompts; the comments are about (the answer in en, the answer in es) to a gold answer of 59."""
    made = Made()
    for number in range(10):
        texts = {"en": f"How much is part {number} of it?", "es": f"¿Cuánto es la parte {number} de eso?"}
        made.prompt(f"p{number}", texts, gold=None if number == 7 else "59")
    # Right against wrong, both right, both wrong, wrong against right.
    two_sided(made, "p0", (EN.format(59), ES.format(58)), (LONG_ES.format(59), LONG_EN.format(58)))
    two_sided(made, "p1", (EN.format(59), ES.format(59)), (LONG_ES.format(59), LONG_EN.format(59)))
    two_sided(made, "p2", (EN.format(60), ES.format(61)), (LONG_ES.format(60), LONG_EN.format(61)))
    two_sided(made, "p3", (EN.format(57), ES.format(59)), (LONG_ES.format(57), LONG_EN.format(59)))
    # The same text on both sides.
    two_sided(made, "p4", (EN.format(59), ES.format(59)), (ES.format(59), EN.format(59)))
    # The dominant answer is cut off: no pair in either direction.
    made.answer("p5", "en", EN.format(59)[:9], FinishReason.LENGTH)
    made.answer("p5", "es", ES.format(59))
    made.translate("p5", "es", "en", EN.format(59))
    # Not to be read on the way to Spanish.
    two_sided(made, "p6", (EN.format(59), ES.format(58)), (None, LONG_EN.format(58)))
    # No gold answer.
    two_sided(made, "p7", (EN.format(1), ES.format(2)), (LONG_ES.format(1), LONG_EN.format(2)))
    # A leftover in the translation to Spanish; a number lost on the way to English.
    two_sided(made, "p8", (EN.format(59), ES.format(58)), (LONG_ES.format(59) + "</sentence>", LONG_EN.format("some")))
    # A refusal in Spanish, answered in English.
    refusal = "I'm sorry, but I cannot answer in that language today."
    two_sided(made, "p9", (EN.format(59), refusal), (LONG_ES.format(59), "I apologize, but I cannot answer today."))
    return made


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("by-hand"))
        chosen = settings()
        by_hand().write(chosen)
        return audit.measure(chosen, "m1", None, {})


def test_counts_add_up_in_every_direction(report: Report) -> None:
    counts = report.figures["counts"]
    assert (counts["prompts"], counts["directions"], counts["pairs"], counts["drops"]) == (10, 2, 15, 5)
    assert counts["prompts_with_gold"] == 9
    assert counts["by_reason"] == {"truncated": 2, "unparsed": 1, "identical": 2}
    assert counts["by_rule"] == {"own_dominant": 8, "translated_dominant": 7}
    assert counts["by_direction"] == {
        "es:en": {"prompts": 10, "pairs": 7, "drops": 3, "truncated": 1, "unparsed": 1, "identical": 1},
        "en:es": {"prompts": 10, "pairs": 8, "drops": 2, "truncated": 1, "identical": 1},
    }


def test_answers_and_translations_are_counted(report: Report) -> None:
    counts = report.figures["counts"]
    assert counts["answers"]["en"] == {
        "prompts": 10, "answers": 10, "stop": 9, "length": 1, "refused": 0, "out_of_memory": 0,
        "empty": 0, "missing": 0,
    }  # fmt: skip
    assert counts["translations"]["en-es"] == {
        "prompts": 10, "translations": 9, "parsed": 8, "unparsed": 1, "cut_off": 0, "empty": 0, "tolerated": 0,
        "not_asked": 1,
    }  # fmt: skip


def test_outcomes_and_reward_accuracy(report: Report) -> None:
    reward = report.figures["reward"]
    spanish = reward["by_direction"]["es:en"]
    outcomes = ("chosen_only", "both", "neither", "rejected_only", "unjudged")
    assert [spanish[o] for o in outcomes] == [3, 1, 1, 1, 1]
    assert (spanish["pairs"], spanish["judged"], spanish["accuracy"]) == (7, 6, 0.75)
    english = reward["by_direction"]["en:es"]
    assert [english[o] for o in outcomes] == [4, 1, 1, 1, 1]
    whole = reward["all"]
    assert (whole["chosen_right"], whole["rejected_right"], whole["judged"]) == (9, 4, 13)
    assert whole["accuracy"] == round(7 / 9, 6)
    # Both pairs of p0, p8 and p9 and one of p6 point the right way, both of p3 do not: a design effect of 248 / 126.
    clustered, plain = wilson(7, 9, effective_n=9 * 126 / 248), wilson(3, 4)
    assert (whole["low"], whole["high"]) == (round(clustered.low, 6), round(clustered.high, 6))
    assert (spanish["low"], spanish["high"]) == (round(plain.low, 6), round(plain.high, 6))


def test_a_prompt_counts_once_in_the_verdict(report: Report) -> None:
    reward = report.figures["reward"]
    # p0, p6, p8 and p9 point the right way, p3 the wrong way.
    assert (reward["all"]["prompts_better"], reward["all"]["prompts_worse"]) == (4, 1)
    assert reward["all"]["p"] == 0.1875  # 6 of the 32 outcomes of five coins
    assert reward["all"]["verdict"] == "stop"
    assert report.recommendation.startswith("Stop: the signal is saturated")


def test_lengths_and_their_difference(report: Report) -> None:
    spanish = report.figures["lengths"]["by_language"]["es"]
    assert spanish["chosen"]["n"] == spanish["rejected"]["n"] == 7
    assert spanish["chosen_longer"] == 1.0
    assert any("in es, chosen answers are" in warning and "longer" in warning for warning in report.warnings)
    assert spanish["answer_tokens"]["n"] == 10


def test_languages_of_the_answers(report: Report) -> None:
    spanish = report.figures["languages"]["es"]
    assert spanish["chosen"]["off_target"] == 0
    assert (spanish["rejected"]["off_target"], spanish["rejected"]["found"]) == (1, {"en": 1, "es": 6})
    sides = (spanish["chosen"], spanish["rejected"])
    assert [(side["sentences"], side["other_sentences"]) for side in sides] == [(14, 0), (7, 1)]
    assert spanish["rejected"]["other_sentences_share"] == 0.142857


def test_the_look_of_the_texts(report: Report) -> None:
    quality = report.figures["quality"]
    assert quality["markers"] == {"</sentence>": 1}
    assert quality["by_language"]["es"]["chosen"] == {"truncated": 0, "repeated": 0, "markers": 1, "refusal": 0}
    assert quality["by_language"]["es"]["rejected"]["refusal"] == 1
    assert quality["by_language"]["en"]["rejected"]["refusal"] == 1
    assert "in es, 1 chosen answers hold leftover markers" in report.warnings


def test_fidelity_counts_kept_numbers(report: Report) -> None:
    fidelity = report.figures["fidelity"]
    assert {k: fidelity["en-es"][k] for k in ("translations", "with_numbers", "numbers_kept", "world")} == {
        "translations": 8, "with_numbers": 8, "numbers_kept": 8, "world": 0,
    }  # fmt: skip
    # p8 lost its number; p9 holds none.
    assert (fidelity["es-en"]["with_numbers"], fidelity["es-en"]["numbers_kept"]) == (9, 8)


def test_the_sample_shows_where_texts_come_from(report: Report) -> None:
    assert len(report.pairs) == 15
    assert len(report.drops) == 5
    entry = next(entry for entry in report.pairs if entry["id"] == "p8:es:en")
    assert entry["notes"] == ["chosen: markers"]
    assert [pane["title"] for pane in entry["panes"]] == [
        "chosen", "rejected", "translated from", "translation as written",
    ]  # fmt: skip
    assert entry["panes"][2]["text"] == EN.format(59)
    assert [entry["panes"][0]["right"], entry["panes"][1]["right"]] == [True, False]
    cut_off = next(entry for entry in report.drops if entry["id"] == "p5:es:en")
    assert (cut_off["reason"], cut_off["panes"][-1]["title"]) == ("truncated", "not translated")


def test_only_a_translation_is_shown_as_missing_one(folder: Path) -> None:
    """The answer in Spanish is missing; that in English was translated."""
    made = Made()
    for name in ("p0", "p1"):
        made.prompt(name, {"en": "How much?", "es": "¿Cuánto?"})
    two_sided(made, "p0", (EN.format(1), ES.format(2)), (ES.format(1), EN.format(2)))
    made.answer("p1", "en", EN.format(3))
    made.translate("p1", "en", "es", ES.format(3))
    made.write(settings())
    entries = {entry["id"]: entry for entry in audit.measure(settings(), "m1", None, {}).drops}
    assert {name: [pane["title"] for pane in entry["panes"]] for name, entry in entries.items()} == {
        "p1:es:en": ["chosen", "rejected", "translated from", "translation as written"],
        "p1:en:es": ["chosen", "rejected"],
    }
    assert entries["p1:es:en"]["panes"][1]["source"] == "no such row"


def test_headline_names_what_mlflow_charts(report: Report) -> None:
    headline = key_figures(report.figures)
    assert headline["pairs"] == 15
    assert headline["drops/truncated"] == 2
    assert headline["reward accuracy/es"] == 0.75


def test_summary_ends_where_to_look(report: Report) -> None:
    lines = audit.summary(report)
    assert lines[0] == "audit m1: 15 pairs + 5 drops = 10 prompts x 2 directions"
    assert lines[-1] == "  The page: reports/m1/audit/index.html"


def test_files_and_drift_over_two_iterations(folder: Path) -> None:
    chosen = settings()
    for iteration in ("m1", "m2"):
        by_hand().write(chosen, iteration)
        audit.run(chosen, iteration)
    folder = paths.audit("m2")
    expected = {"metrics.json", "report.md", "index.html", "contamination.jsonl"}
    expected |= {f"{name}.svg" for name in ("reward", "drops", "lengths", "languages", "iterations")}
    assert {file.name for file in folder.iterdir()} == expected
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics["history"]) == ["m1", "m2"]
    assert metrics["history"]["m1"] == metrics["history"]["m2"]
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "| figure | m1 | m2 | change |" in text
    assert "| reward accuracy/es | 0.75 | 0.75 | +0 |" in text
