"""Length distributions, and the warning if drops favour short answers."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from audit_project import Made, settings, two_sided

from lidr import config, paths
from lidr.audit import page
from lidr.audit import stage as audit
from lidr.audit.lengths import distribution
from lidr.audit.report import bias_warning
from lidr.records import Drop, Pair
from lidr.records.jsonl import read_rows, write_rows


def test_distribution() -> None:
    assert distribution(pandas.Series([None], dtype="int32[pyarrow]")) == {"n": 0}
    lengths = pandas.Series([1, 2, None, 3, 4], dtype="int32[pyarrow]")
    assert distribution(lengths) == {"n": 4, "mean": 2.5, "q1": 1, "median": 2, "q3": 3, "max": 4}


def dropped_at(lengths: set[int]) -> Made:
    """Eighty prompts with dominant answers of 1 to 8 words; translations into Spanish fail at some lengths."""
    made = Made()
    for number in range(80):
        name, length = f"p{number}", number % 8 + 1
        made.prompt(name, {"en": f"Ask {number}?", "es": f"Pregunta {number}?"})
        spanish = None if length in lengths else f"Azul {number}."
        two_sided(made, name, (" ".join(["blue"] * length), f"Rojo {number}."), (spanish, f"Red {number}."))
    return made


@pytest.mark.parametrize(("lengths", "expected"), [({7, 8}, "short"), ({1, 2}, "long"), ({1, 3, 6, 8}, None)])
def test_a_bias_is_warned_of(folder: Path, lengths: set[int], expected: str | None) -> None:
    dropped_at(lengths).write(settings())
    figures = audit.measure(settings(), "m1", None, {}).figures["lengths"]["drops"]
    assert [quarter["prompts"] for quarter in figures["quarters"].values()] == [20, 20, 20, 20]
    warning = bias_warning(figures)
    assert (warning == []) if expected is None else (f"towards {expected} answers" in warning[0])
    if lengths == {7, 8}:
        assert figures["quarters"]["q4"] == {
            "from": 30, "to": 39, "prompts": 20, "dropped": 0.5, "failed": 0.5, "unparsed": 0.5,
        }  # fmt: skip
        assert figures["bias"]["difference"] == 0.5


def test_drops_are_by_the_dominant_answer_whatever_the_directions(folder: Path) -> None:
    chosen = settings(pairs=config.Pairs(directions="others"))
    dropped_at({7, 8}).write(chosen)
    report = audit.measure(chosen, "m1", None, {})
    assert {row["dominant_characters"] for row in report.facts.to_pylist()} == {4, 9, 14, 19, 24, 29, 34, 39}
    drops = report.figures["lengths"]["drops"]
    assert [quarter["prompts"] for quarter in drops["quarters"].values()] == [20, 20, 20, 20]
    assert (drops["bias"]["difference"], drops["quarters"]["q4"]["failed"]) == (1.0, 1.0)
    assert bias_warning(drops)[0] in report.warnings
    counts = report.figures["counts"]
    assert list(counts["answers"]) == list(counts["by_language"]) == ["es"]
    assert counts["by_language"]["es"] == {"prompts": 80, "pairs": 60, "drops": 20, "unparsed": 20}


@pytest.mark.parametrize(("longest", "quarters"), [(8, ["q1", "q2", "q3", "q4"]), (1, ["q1"])])
def test_identical_answers_are_no_loss_and_equal_lengths_make_one_quarter(
    folder: Path, longest: int, quarters: list[str]
) -> None:
    made = Made()
    for number in range(40):
        name, length = f"p{number}", number % longest + 1
        made.prompt(name, {"en": f"Ask {number}?", "es": f"Pregunta {number}?"})
        spanish = f"Rojo {number}." if length > 4 else f"Azul {number}."
        two_sided(made, name, (" ".join(["blue"] * length), f"Rojo {number}."), (spanish, f"Red {number}."))
    made.write(settings())
    figures = audit.measure(settings(), "m1", None, {}).figures["lengths"]["drops"]
    assert list(figures["quarters"]) == quarters and bias_warning(figures) == []
    last = figures["quarters"][quarters[-1]]
    assert (last["dropped"], last["failed"]) == (0.5 if longest == 8 else 0, 0)


def test_filters_are_told_with_and_without_the_pairs_that_they_dropped(folder: Path) -> None:
    made = Made()
    for name in "abcdef":
        made.prompt(name, {"en": f"Ask {name}?", "es": f"Pregunta {name}?"})
    for name in "ab":  # chosen is four characters longer in Spanish, two shorter in English
        two_sided(made, name, (f"Red {name}.", f"Azul {name}."), (f"Colorado {name}.", f"Azure {name}."))
    for name in "cd":  # as long in Spanish, twenty characters shorter in English
        two_sided(made, name, (f"Red {name}.", f"Azul {name}."), (f"Rojo {name}.", "x" * 26))
    two_sided(made, "e", ("Red e.", "Azul e."), (None, "Azure e."))  # no text: not dropped by a filter
    two_sided(made, "f", ("Red f.", "Azul f."), ("Azul f.", "Red f."))  # identical
    made.write(settings(pairs=config.Pairs(filters=("identical",))))
    folder = paths.pairs("m1")
    kept, drops = [], list(read_rows(folder / paths.DROPS, Drop))
    for pair in read_rows(folder / paths.PAIRS, Pair):
        names = ("prompt_id", "lang", "other_lang", "chosen_from", "rejected_from")
        shared = {"stage": "pairs", "detail": "by hand"} | {name: getattr(pair, name) for name in names}
        if pair.prompt_id == "c":
            drops.append(Drop(**shared, reason="repeated"))
        elif pair.id == "d:en:es":
            drops.append(Drop(**shared, reason="off_target"))
        else:
            kept.append(pair)
    write_rows(folder / paths.PAIRS, kept)
    write_rows(folder / paths.DROPS, sorted(drops, key=lambda row: row.prompt_id))
    report = audit.measure(settings(), "m1", None, {})
    found = report.figures["lengths"]["filters"]
    assert list(found) == ["off_target", "repeated"]
    assert found["off_target"] == {
        lang: {
            "dropped": 1,
            "with": {
                "n": n + 1,
                "difference": round((total - 20) / (n + 1), 6),
                "chosen_longer": round(longer / (n + 1), 6),
            },
            "without": {"n": n, "difference": round(total / n, 6), "chosen_longer": round(longer / n, 6)},
        }
        for lang, n, total, longer in (("all", 6, 2, 2), ("en", 3, -6, 0))
    }
    assert [found["repeated"][lang]["dropped"] for lang in ("all", "en", "es")] == [2, 1, 1]
    text = page.markdown(report)
    assert "## Filters and lengths" in text and r"| off\_target | en English (dominant) | 1 | -6.5 | -2.0 |" in text
