"""The comparison on twelve items in three languages, small enough that every number is checked by hand."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import Mock
from xml.etree.ElementTree import Element

import msgspec
import pytest
from click.testing import CliRunner
from compared_project import (
    ITEMS,
    LANGUAGES,
    RIGHT,
    answer,
    make_project,
    verdict,
    write_answers,
    write_verdicts,
)
from msgspec.structs import replace
from scipy.stats import t as student
from svg import parsed, tips, words

from lidr import config, paths
from lidr.cli import main, runs
from lidr.compare import report
from lidr.compare import stage as compare
from lidr.compare.comparison import Comparison, compare_models, references
from lidr.compare.report import evidence, table
from lidr.errors import InputError
from lidr.records import Answer
from lidr.records.jsonl import write_rows

Metrics = dict[str, dict[str, dict[str, dict[str, Any]]]]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Settings:
    monkeypatch.chdir(tmp_path)
    return make_project()


@dataclass(frozen=True)
class Result:
    """One run of the stage, shared by several tests."""

    comparison: Comparison
    files: dict[str, bytes]
    metrics: Metrics


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("project"))
        comparison = compare.run(make_project())
        return Result(comparison, written(), json.loads(written()["metrics.json"]))


def written() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in paths.compare().iterdir()}


def test_accuracy_with_its_interval_counts_and_paired_tests(result: Result) -> None:
    spanish = result.metrics["m2"]["mgsm"]["es"]
    against = spanish["against_m0"]
    assert spanish["against_m1"]["gained"] == 8
    assert {name: value for name, value in spanish.items() if not name.startswith("against")} == {
        "accuracy": 1.0,
        "low": 0.757506,  # Wilson's interval of 12 of 12
        "high": 1.0,
        "n": 12,
        "off_target": 0.0,
        "unparseable": 0.0,
        "truncated": 0.0,
    }
    assert (against["difference"], against["n"], against["gained"], against["lost"]) == (0.833333, 12, 10, 0)
    assert against["p"] == round(2 * 0.5**10, 6)  # exact McNemar: ten of ten
    assert against["p_holm"] == round(3 * 2 * 0.5**10, 6)  # the smallest of three languages
    assert (against["low"], against["high"]) == (0.388761, 0.953035)  # Tango, by hand
    italian = result.metrics["m2"]["mgsm"]["it"]["against_m0"]
    assert (italian["difference"], italian["gained"], italian["lost"]) == (0.166667, 3, 1)
    assert (italian["p"], italian["p_holm"]) == (0.625, 1.0)
    first = result.metrics["m0"]["mgsm"]["es"]
    assert (first["off_target"], first["unparseable"], first["truncated"]) == (0.25, 0.166667, 0.083333)


def test_win_rate_and_its_paired_difference(result: Result) -> None:
    spanish = result.metrics["m1"]["alpaca"]["es"]
    assert spanish["win_rate"] == round(100 * (8 * 1.0 + 4 * 0.5) / 12, 6)
    against = spanish["against_m0"]
    assert (against["difference"], against["gained"], against["lost"]) == (33.333333, 8, 0)
    t = (100 / 3) / sqrt((8 * (50 / 3) ** 2 + 4 * (100 / 3) ** 2) / 11 / 12)  # eight differences of 50, four of 0
    assert against["p"] == round(2 * student.sf(t, 11), 6)
    assert against["p_holm"] == round(3 * 2 * student.sf(t, 11), 6)


def test_the_baseline_against_itself_is_fifty(result: Result) -> None:
    figures = result.metrics["m0"]["alpaca"]
    bounds = [round(50 + sign * 50 * (1 - 0.025 ** (1 / ITEMS)), 6) for sign in (-1, 1)]
    assert {(f["win_rate"], f["low"], f["high"]) for f in figures.values()} == {(50.0, *bounds)}
    text = result.files["report.md"].decode()
    assert "| en English | 50.0 by construction |" in text


def test_a_win_rate_of_losses_alone_is_no_accuracy(settings: config.Settings) -> None:
    write_verdicts("m1", lambda row: replace(row, preference=1.0))
    figures = compare.metrics(compare_models(settings))["m1"]["alpaca"]["es"]
    high = round(100 * (1 - 0.025 ** (1 / ITEMS)), 6)
    assert (figures["win_rate"], figures["low"], figures["high"]) == (0.0, 0.0, high)


def test_averages_take_the_item_as_the_unit(result: Result) -> None:
    figures = result.metrics["m2"]["mgsm"]
    assert [figures[group]["accuracy"] for group in ("average", "trained", "transfer")] == [
        round((11 / 12 + 12 / 12 + 7 / 12) / 3, 6),
        round((11 / 12 + 12 / 12) / 2, 6),
        round(7 / 12, 6),
    ]
    assert [figures[group]["n"] for group in ("average", "trained", "transfer")] == [12, 12, 12]
    assert "p_holm" not in figures["average"]["against_m0"]


def test_an_average_of_one_language_is_that_language(result: Result) -> None:
    """`it` is the only language not trained on; its test is not adjusted twice."""
    figures = result.metrics["m2"]["mgsm"]
    own, transfer = figures["it"], figures["transfer"]
    assert {name: transfer[name] for name in ("accuracy", "low", "high")} == {
        name: own[name] for name in ("accuracy", "low", "high")
    }
    change = {name: value for name, value in own["against_m0"].items() if name != "p_holm"}
    assert transfer["against_m0"] == change


def test_unjudged_items_are_left_out_and_counted(settings: config.Settings) -> None:
    write_verdicts("m1", lambda row: replace(row, preference=None) if (row.id, row.lang) == ("i-0", "es") else row)
    figures = compare.metrics(compare_models(settings))["m1"]["alpaca"]
    assert (figures["es"]["n"], figures["es"]["unjudged"]) == (11, 0.083333)
    assert figures["es"]["against_m0"]["n"] == 11
    # The item counts in the languages in which it is judged: an average is the mean of the rows above it.
    average, rows = figures["average"], [figures[lang] for lang in LANGUAGES]
    assert average["n"] == average["against_m0"]["n"] == 12
    assert average["win_rate"] == pytest.approx(fmean(row["win_rate"] for row in rows), abs=1e-6)
    change = fmean(row["against_m0"]["difference"] for row in rows)
    assert average["against_m0"]["difference"] == pytest.approx(change, abs=1e-6)


def test_csv_for_plots(result: Result) -> None:
    lines = result.files["mgsm.csv"].decode().splitlines()
    assert lines[0] == "model,iteration,language,value,low,high"
    assert len(lines) == 1 + 3 * 3
    assert lines[8] == "m2,2,es,1.0,0.757506,1.0"


def test_headline_names_for_mlflow(result: Result) -> None:
    figures = compare.headline(result.metrics["m0"])
    places = ("en", "es", "it", "average", "trained", "transfer")
    names = ("mgsm accuracy", "alpaca win rate", "off target")
    assert list(figures) == [f"{name}/{place}" for name in names for place in places]
    assert (figures["mgsm accuracy/es"], figures["alpaca win rate/es"]) == (0.166667, 50.0)
    assert (figures["off target/es"], figures["off target/trained"]) == (0.25, 0.125)


def test_interval_names_for_mlflow(result: Result) -> None:
    first, last = (compare.intervals(result.metrics[model]) for model in ("m0", "m2"))
    places = ("en", "es", "it", "average", "trained", "transfer")
    ends = ("mgsm accuracy low", "mgsm accuracy high", "alpaca win rate low", "alpaca win rate high")
    assert sorted(first) == sorted(f"{end}/{place}" for end in ends for place in places)
    changes = [f"{name} change{what}" for name in ("mgsm", "alpaca") for what in ("", " low", " high", " p")]
    assert sorted(last.keys() - first.keys()) == sorted(f"{change}/{place}" for change in changes for place in places)
    mgsm = result.metrics["m2"]["mgsm"]
    assert last["mgsm accuracy low/average"] == mgsm["average"]["low"]
    # In points, as the report has them, and with the p value that it calls significant or not.
    assert (last["mgsm change/es"], last["mgsm change p/es"]) == (83.3333, mgsm["es"]["against_m0"]["p_holm"])
    assert (last["mgsm change low/average"], last["mgsm change high/average"]) == (15.2718, 51.3948)
    assert last["mgsm change p/average"] == mgsm["average"]["against_m0"]["p"]
    assert last["alpaca change/average"] == 16.6667


def test_what_was_not_measured_in_a_language_is_left_out_of_its_shares(root: Path) -> None:
    settings = make_project()
    for model in settings.models:
        write_answers(model, lambda row: replace(row, off_target=None) if row.lang == "it" else row)
    compare.run(settings)
    figures = json.loads(written()["metrics.json"])["m0"]
    mgsm = figures["mgsm"]
    assert [mgsm[place].get("off_target") for place in ("es", "it", "average", "transfer")] == [0.25, None, 0.125, None]
    assert not {"off target/it", "off target/transfer"} & compare.headline(figures).keys()
    assert "| it Italian | - / 2 / 1 |" in written()["report.md"].decode()


def test_mlflow_is_told_what_the_stage_wrote_and_nothing_is_computed_again(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = compare.run(settings)
    monkeypatch.setattr("lidr.compare.comparison._results", lambda *_: pytest.fail("compared again"))
    run = Mock()
    runs.job_of(settings, "compare", None).log_to(run)
    curves = {call.args[1]: call.args[0] for call in run.log_to_parent.call_args_list}
    assert curves == {t: compare.headline(compare.metrics(made)[f"m{t}"]) for t in range(3)}
    tested = {call.args[1]: call.args[0] for call in run.log_metrics.call_args_list}
    assert tested == {t: compare.intervals(compare.metrics(made)[f"m{t}"]) for t in range(3)}
    ((text,),) = (call.args for call in run.describe_parent.call_args_list)
    assert text.splitlines()[0] == "# What m2 does better than m0, and what it does not"
    assert text.split("\n\n")[1:] == report.headlines(made)
    ((rows, name),) = (call.args for call in run.log_rows.call_args_list)
    rows = list(rows)
    assert (name, len(rows)) == ("scores.json", 2 * 3 * ITEMS)
    about = {"benchmark": "mgsm", "lang": "es", "id": "p-3", "prompt": "ask 3 es"}
    assert about | {"m0": 0.0, "m1": 1.0, "m2": 1.0} in rows


def test_table_for_the_terminal(result: Result) -> None:
    assert table(result.comparison).splitlines() == [
        "          MGSM accuracy, %              AlpacaEval win rate against m0, %",
        "              m0       m1       m2          m0       m1       m2",
        "en          91.7     91.7     91.7        50.0     50.0     54.2",
        "es          16.7     33.3    100.0*†      50.0     83.3*    91.7*",
        "it          41.7     41.7     58.3        50.0     54.2     54.2",
        "average     50.0     55.6     83.3*†      50.0     62.5*    66.7*",
        "trained     54.2     62.5     95.8*†      50.0     66.7*    72.9*",
        "transfer    41.7     41.7     58.3        50.0     54.2     54.2",
        "* differs from m0, † from the model before (p < 0.05; of languages: adjusted by Holm)",
    ]


def test_headline_sentences(result: Result) -> None:
    first, second = report.headlines(result.comparison)
    assert first.startswith("MGSM accuracy on average over 3 languages rose from 50.0% to 83.3% (+33.3 points [")
    assert first.endswith("n = 12). Higher in es; no significant difference in en and it.")
    assert "AlpacaEval win rate against m0" in second
    assert "from 50.0% (by construction) to 66.7%" in second


def test_samples_are_those_gained_and_lost(result: Result) -> None:
    mgsm, alpaca = result.comparison.results
    assert [(sample.lang, sample.gained) for sample in mgsm.samples if not sample.gained] == [("it", False)]
    lost = mgsm.samples[-1]
    assert (lost.id, lost.expected, [reply.outcome for reply in lost.replies]) == (
        "p-0",
        "0",
        ["right", "right", "wrong"],
    )
    assert {sample.lang for sample in alpaca.samples} == set(LANGUAGES)
    assert {sample.replies[0].outcome for sample in alpaca.samples} == {"the baseline"}


def test_texts_of_models_and_settings_are_escaped_and_the_page_needs_no_address(settings: config.Settings) -> None:
    attack = "<script>alert(1)</script>\x00```\n| a | \"'&"
    for model in RIGHT:
        write_answers(model, lambda row: replace(row, completion=attack, prompt=attack, id=f"<i>{row.id}"))
        write_verdicts(model, lambda row: replace(row, completion=attack, prompt=attack, baseline=attack))
    published = config.Baseline(model="<gpt>", source="x")
    base = replace(settings.base, model="<b>")
    compare.run(replace(settings, profile="<script>", base=base, baseline=published))
    page = (paths.compare() / "index.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd```" in page
    assert "<i>p-" not in page and "<b></dd>" not in page
    assert "\x00" not in page
    assert not re.search(r"""(?:src|href|url|action)\s*[=(]\s*["']?(?:https?:)?//""", page)
    assert "default-src 'none'" in page
    assert page.count("<svg ") == 2 and "<img" not in page
    alpaca = parsed((paths.compare() / "alpaca.svg").read_bytes())
    assert "AlpacaEval win rate against <gpt> by language" in words(alpaca)
    text = (paths.compare() / "report.md").read_text("utf-8")
    assert "````text\n<script>" in text  # a fence longer than any in the text
    assert "profile: \\<script>" in text
    assert "win rate against \\<gpt>" in text and "<gpt>" not in page
    assert "by construction" not in page


def test_same_input_same_bytes(settings: config.Settings, result: Result) -> None:
    compare.run(settings)
    assert written() == result.files
    drawn = {f"{name}.{kind}" for name in ("alpaca", "harness", "mgsm") for kind in ("csv", "svg")}
    assert result.files.keys() == {"index.html", "metrics.json", "report.md", *drawn}


# --- plots -----------------------------------------------------------------------------------------------------------


def plot_of(result: Result, benchmark: str) -> Element:
    return parsed(result.files[f"{benchmark}.svg"])


def test_a_plot_says_what_it_shows_and_where_each_curve_ends(result: Result) -> None:
    mgsm, alpaca = (plot_of(result, name) for name in ("mgsm", "alpaca"))
    assert mgsm.get("aria-label") == "MGSM accuracy by language over m0, m1, m2"
    seen = words(mgsm)
    assert {
        "MGSM accuracy by language",
        "in %, with 95% intervals; 12 items a language; * differs from m0, † from the model before",
        *("m0", "m1", "m2", "20", "40", "60", "80", "100"),
        *("dominant", "trained on", "never trained on (transfer)"),
    } <= set(seen)
    curves = ["Spanish 100.0*†", "English 91.7", "Italian 58.3"]
    assert [word for word in seen if word in curves] == curves
    assert "AlpacaEval win rate against m0 by language" in words(alpaca)
    assert "as good as the baseline" in words(alpaca) and "as good as the baseline" not in seen


def test_points_tell_their_model_value_interval_and_items(result: Result) -> None:
    mgsm, alpaca = (tips(plot_of(result, name)) for name in ("mgsm", "alpaca"))
    assert len(mgsm) == 9
    assert mgsm[3:6] == [
        "Spanish, m0: 16.7% [4.7, 44.8], n = 12",
        "Spanish, m1: 33.3% [13.8, 60.9], n = 12",
        "Spanish, m2: 100.0% [75.8, 100.0], n = 12",
    ]
    assert alpaca[3] == "Spanish, m0: 50.0% by construction, n = 12"


def test_a_plot_of_more_languages_than_colours_uses_them_again(settings: config.Settings) -> None:
    many = ("en", "es", "de", "fr", "ru", "it", "pt", "nl", "pl", "sv", "da")
    for model in RIGHT:
        rows = [replace(answer(model, "en", row), lang=lang) for lang in many for row in range(2)]
        write_rows(paths.evaluation("mgsm", model) / paths.ANSWERS, rows)
    compare.run(replace(settings, mgsm=replace(settings.mgsm, languages=many)))
    text = (paths.compare() / "mgsm.svg").read_text("utf-8")
    names = [word for word in words(parsed(text)) if word.endswith(" 100.0")]
    assert len(names) == 11
    hollow = text.count("fill: #ffffff; stroke: #cc6677")
    assert 0 < hollow < text.count("fill: #cc6677; stroke: #cc6677") + hollow


# --- what cannot be compared -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "no row for 'p-11:it'"),
        (
            lambda rows: [row for row in rows if row.id != "p-3"],
            "no row for 'p-3:en', which reports/mgsm/m0/answers.jsonl",
        ),
        (lambda rows: [row for row in rows if row.lang != "es"], "no row for 'p-0:es'"),
        (
            lambda rows: rows + [replace(row, id="p-12") for row in rows if row.id == "p-0"],
            "a row for 'p-12:en', which reports/mgsm/m0/answers.jsonl lacks",
        ),
        (lambda rows: [*rows, replace(rows[0], lang="de")], "a row for 'p-0:de'"),
        (lambda rows: [replace(rows[0], gold="7"), *rows[1:]], "'p-0:en' has another gold"),
    ],
    ids=["missing", "missing everywhere", "no language", "too many", "another language", "another problem"],
)
def test_rows_that_do_not_fit_are_named_and_nothing_is_overwritten(
    settings: config.Settings, change: Callable[[list[Answer]], list[Answer]], message: str
) -> None:
    paths.compare().mkdir(parents=True)
    (paths.compare() / "index.html").write_text("old", "utf-8")
    rows = [answer("m2", lang, row) for lang in LANGUAGES for row in range(ITEMS)]
    write_rows(paths.evaluation("mgsm", "m2") / paths.ANSWERS, change(rows))
    with pytest.raises(InputError) as error:
        compare.run(settings)
    assert str(error.value).startswith(f"reports/mgsm/m2/answers.jsonl: {message}")
    assert [file.read_text("utf-8") for file in paths.compare().iterdir()] == ["old"]


def test_a_missing_report_and_a_language_without_verdicts_are_named(settings: config.Settings) -> None:
    write_verdicts("m2", lambda row: replace(row, preference=None) if row.lang == "it" else row)
    with pytest.raises(InputError, match=r"alpaca/m2/verdicts\.jsonl: not one row in 'it' is judged"):
        compare.run(settings)
    shutil.rmtree(paths.evaluation("alpaca", "m2"))
    with pytest.raises(InputError, match=r"alpaca/m2/verdicts\.jsonl: no such file"):
        compare.run(settings)


def test_arms_that_go_on_from_the_same_model_are_compared_with_each_other(settings: config.Settings) -> None:
    arms = {name: config.Iteration(previous="m0", data="m1") for name in ("m1", "m2")}
    chain = compare.run(settings)
    found = compare.run(replace(settings, data={"m1": config.Data(by="m0")}, iterations=arms))
    assert (references(found.settings, "m1"), references(found.settings, "m2")) == (("m0",), ("m0", "m1"))
    assert found.results[0].figures == chain.results[0].figures
    # The mark against the previous model becomes one against the other arm.
    assert table(found).splitlines()[:-1] == table(chain).replace("†", "‡").splitlines()[:-1]
    legend = "* differs from m0, † from the model before, ‡ from an earlier model that goes on from the same one"
    assert table(found).splitlines()[-1].startswith(legend)
    text = (paths.compare() / "report.md").read_text("utf-8")
    assert "‡ p < 0.05 against an earlier model that goes on from the same one." in text


def test_one_model_in_one_language_has_nothing_to_compare(settings: config.Settings) -> None:
    for model in RIGHT:
        write_rows(paths.evaluation("mgsm", model) / paths.ANSWERS, [answer(model, "es", row) for row in range(ITEMS)])
        verdicts = [verdict(model, "es", row) for row in range(ITEMS)]
        write_rows(paths.evaluation("alpaca", model) / paths.VERDICTS, verdicts)
    one = replace(
        settings,
        models=("m0",),
        iterations={},
        mgsm=replace(settings.mgsm, languages=("es",)),
        alpaca=replace(settings.alpaca, languages=("es",)),
    )
    assert table(compare.run(one)).splitlines()[2] == "es    16.7               50.0"
    assert "nothing to compare yet" in (paths.compare() / "index.html").read_text("utf-8")


def test_a_language_without_answer_phrases_is_said_once(settings: config.Settings) -> None:
    for model in RIGHT:
        rows = [replace(answer(model, "es", row), lang="xh") for row in range(ITEMS)]
        write_rows(paths.evaluation("mgsm", model) / paths.ANSWERS, rows)
    compare.run(replace(settings, mgsm=replace(settings.mgsm, languages=("xh",))))
    for name in ("index.html", "report.md"):
        text = (paths.compare() / name).read_text("utf-8").replace("&#39;", "'")
        assert text.count("xh: no answer phrases known; read by English's and by the last number") == 1


def test_one_benchmark_is_shown_where_the_others_are_not_measured(settings: config.Settings) -> None:
    shutil.rmtree(paths.REPORTS / "alpaca")
    paths.PARAMS.write_bytes(msgspec.json.encode(settings))
    shown = CliRunner().invoke(main, ["compare", "--show", "--only", "mgsm"])
    assert shown.exit_code == 0, shown.output
    assert "AlpacaEval" not in shown.output and "MGSM accuracy on average over 3 languages" in shown.output
    assert not paths.compare().exists()
    refused = CliRunner().invoke(main, ["compare", "--only", "mgsm"])
    assert refused.exit_code == 2 and "--only goes with --show" in refused.output


# --- what supports a promotion ---------------------------------------------------------------------------------------


def test_gain_is_described_by_benchmark(settings: config.Settings) -> None:
    (mgsm, alpaca), objection = evidence(compare_models(settings), "m2")
    assert objection is None
    # es gains 10 of 12, it 3 and loses one, en nothing: 12 of 36. An item counts once, over its languages.
    assert mgsm == "MGSM accuracy: +33.3 points [15.3, 51.4], p = 0.002, n = 12 (10 gained, 1 lost)"
    assert alpaca == "AlpacaEval win rate: +16.7 points [8.8, 24.5], p < 0.001, n = 12 (10 gained, 0 lost)"


@pytest.mark.parametrize(
    ("arguments", "titles", "error"),
    [
        (
            ["m1"],
            ["MGSM accuracy", "AlpacaEval win rate"],
            "the comparison shows no gain of m1 over m0; --anyway promotes it nevertheless",
        ),
        (["m0", "--anyway"], [], "m0 is the base: nothing was trained"),
    ],
)
def test_command_refuses_before_it_asks_mlflow(
    settings: config.Settings, arguments: list[str], titles: list[str], error: str
) -> None:
    Path("params.yaml").write_bytes(msgspec.json.encode(settings))
    write_verdicts("m1", lambda row: replace(row, preference=1.5))
    result = CliRunner().invoke(main, ["promote", *arguments])
    assert result.exit_code == 1
    *findings, said = result.output.splitlines()
    assert [finding.partition(":")[0] for finding in findings] == titles
    assert said == f"Error: {error}"
    assert sorted(path.name for path in Path().iterdir()) == ["params.yaml", "reports"]


def test_a_promotion_that_overrules_says_so(settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("params.yaml").write_bytes(msgspec.json.encode(settings))
    write_verdicts("m2", lambda row: replace(row, preference=1.0))
    monkeypatch.setattr("lidr.cli.runs.up_to_date", lambda settings: ([], []))
    monkeypatch.setattr("lidr.tracking.sync", Mock())
    register = Mock()
    monkeypatch.setattr("lidr.tracking.promote", register)
    result = CliRunner().invoke(main, ["promote", "m2", "--anyway"])
    assert result.exit_code == 0, result.output
    first, *findings = register.call_args.args[2].splitlines()
    assert first == "Promoted with --anyway: m2 is worse than m0 in AlpacaEval."
    assert findings == result.output.splitlines()[:2]
