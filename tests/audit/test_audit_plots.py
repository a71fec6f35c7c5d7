"""The audit's plots: values and tooltips for an iteration, without data, and for unusual names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import svg
from audit_project import Made, in_lab, settings, two_sided

from lidr.audit import facts, plots
from lidr.audit import stage as audit
from lidr.audit.report import Report
from lidr.pairs.filters import FILTERS
from lidr.records import DropReason

REASONS = (*map(str, DropReason), *FILTERS)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Three languages of the lab."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("plots"))
        chosen = settings(("es", "de"))
        in_lab(chosen, 60).write(chosen)
        return audit.measure(chosen, "m1", None, {})


@pytest.fixture(scope="module")
def drawn(report: Report) -> dict[str, str]:
    """All plots of the report; a test of another report draws the plot that it reads."""
    return plots.draw(report)


def with_figures(report: Report, **figures: Any) -> Report:
    return dataclasses.replace(report, figures=report.figures | figures)


def tips(text: str) -> list[str]:
    return svg.tips(svg.parsed(text))


def words(text: str) -> list[str]:
    return svg.words(svg.parsed(text))


def test_outcomes_and_accuracies_are_told_exactly(report: Report, drawn: dict[str, str]) -> None:
    reward = report.figures["reward"]
    text = drawn["reward"]
    row = reward["by_direction"]["es:en"]
    share = f"{row['chosen_only'] / row['pairs']:.1%}"
    assert f"es against en · chosen right only: {row['chosen_only']} of {row['pairs']} pairs ({share})" in tips(text)
    whole = reward["all"]
    decided = whole["chosen_only"] + whole["rejected_only"]
    assert (
        f"all · {whole['accuracy']:.3f}, 95% interval {whole['low']:.3f} to {whole['high']:.3f}, of {decided} pairs "
        "with just one right answer"
    ) in tips(text)
    assert f"{whole['accuracy']:.2f}" in words(text)


def test_pairs_that_were_not_judged_are_shown_where_there_are_any(report: Report, drawn: dict[str, str]) -> None:
    reward = report.figures["reward"]
    assert "not judged" not in words(drawn["reward"])
    rows = {name: row | {"unjudged": 1} for name, row in reward["by_direction"].items()}
    text = plots._reward(with_figures(report, reward=reward | {"by_direction": rows}))
    assert "not judged" in words(text)


def test_each_reason_of_a_drop_has_its_colour(report: Report) -> None:
    colours = plots.colours(REASONS)
    assert set(colours) == set(REASONS)
    assert [reason for reason, colour in colours.items() if colour == colours["identical"]] == ["identical"]
    counts = report.figures["counts"]
    rows = {name: {"prompts": 60} | dict.fromkeys(REASONS, 2) for name in counts["by_direction"]}
    every = counts | {"by_direction": rows, "by_reason": dict.fromkeys(REASONS, 8)}
    text = plots._drops(with_figures(report, counts=every))
    assert set(REASONS) <= set(words(text))
    assert "en against de · out_of_memory: 2 of 60 prompts (3.3%)" in tips(text)


def test_drops_by_length_are_shares_of_prompts_in_all_directions(report: Report, drawn: dict[str, str]) -> None:
    quarter = report.figures["lengths"]["drops"]["quarters"]["q1"]
    expected = (
        f"{quarter['from']} to {quarter['to']} · identical: {quarter['identical']:.1%} of {quarter['prompts']} prompts "
        "x 4 directions"
    )
    assert expected in tips(drawn["drops"])


def test_every_pair_is_in_a_bin_of_the_lengths(report: Report, drawn: dict[str, str]) -> None:
    found: Counter[str] = Counter()
    for tip in tips(drawn["lengths"]):
        lang, _, rest = tip.partition(" · ")
        chosen, rejected = rest.partition(" characters: ")[2].split(", ")
        found[f"{lang} chosen"] += int(chosen.removesuffix(" chosen").replace(",", ""))
        found[f"{lang} rejected"] += int(rejected.removesuffix(" rejected").replace(",", ""))
    pairs = {lang: row["pairs"] for lang, row in report.figures["counts"]["by_language"].items()}
    assert found == {f"{lang} {side}": n for lang, n in pairs.items() for side in ("chosen", "rejected")}


def test_bins_are_whole_numbers_of_characters_and_the_last_holds_the_rest(report: Report) -> None:
    rows = [
        {"outcome": "pair", "lang": "en", "chosen_characters": length, "rejected_characters": 3}
        for length in [10] * 60 + [99] * 39 + [5_000]
    ]
    dropped = {"outcome": "drop", "lang": "en", "chosen_characters": 9, "rejected_characters": 9}
    found = tips(plots._lengths(dataclasses.replace(report, facts=facts.table([*rows, dropped]))))
    assert found == [
        "en · 3 to 5 characters: 0 chosen, 100 rejected",
        "en · 9 to 11 characters: 60 chosen, 0 rejected",
        "en · 99 or more characters: 40 chosen, 0 rejected",
    ]


def test_languages_are_told_by_side(report: Report, drawn: dict[str, str]) -> None:
    row = report.figures["languages"]["es"]["rejected"]
    total = row["judged"] + row["unknown"]
    share = f"{row['off_target'] / total:.1%}"
    expected = f"es rejected · another language: {row['off_target']} of {total} pairs ({share})"
    assert row["off_target"] and expected in tips(drawn["languages"])


def test_iterations_have_a_point_for_each_language_that_was_measured(report: Report) -> None:
    row = {"accuracy": 0.75, "low": 0.5, "high": 0.875}
    history = {"m1": {"en": row, "de": row}, "m2": {"en": row | {"accuracy": 0.7}}}
    text = plots._iterations(with_figures(report, history=history))
    assert tips(text) == [
        "en in m1: 0.750, interval 0.500 to 0.875",
        "en in m2: 0.700, interval 0.500 to 0.875",
        "de in m1: 0.750, interval 0.500 to 0.875",
    ]
    assert {"m1", "m2", "en", "de"} <= set(words(text)) and "es" not in words(text)


def test_an_iteration_without_pairs_says_so(folder: Path) -> None:
    made = Made()
    made.prompt("p0", {"en": "Ask?", "es": "¿Preguntas?"})
    two_sided(made, "p0", ("Blue.", "Azul."), (None, None))
    made.write(settings())
    drawn = plots.draw(audit.measure(settings(), "m1", None, {}))
    assert words(drawn["reward"]).count("no pairs") == 2
    assert words(drawn["reward"]).count("not measured") == 3
    assert "unparsed" in words(drawn["drops"])
    assert words(drawn["lengths"]).count("no data") == 2
    assert words(drawn["languages"]).count("no pairs") == 4
    assert "not measured" in words(drawn["iterations"])


def test_no_prompts_and_no_drops_are_told_apart(report: Report) -> None:
    counts, lengths = report.figures["counts"], report.figures["lengths"]
    for prompts, note in ((0, "no prompts"), (60, "none")):
        nothing = counts | {"by_reason": {}, "by_direction": {"es:en": {"prompts": prompts}}}
        unknown = lengths | {"drops": {"quarters": {}}}
        text = plots._drops(with_figures(report, counts=nothing, lengths=unknown))
        assert note in words(text) and "no data" in words(text)
