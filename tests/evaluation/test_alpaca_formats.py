"""X-AlpacaEval's files: layouts, the error line of each mistake, and the stages on published answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_endpoint import KEY, running
from published import ENDPOINT, Rows, configure, output_rows, prompt_rows, write

from lidr import config, paths
from lidr.cli import main
from lidr.errors import InputError
from lidr.evaluation.alpaca import baseline
from lidr.evaluation.alpaca.formats import load_outputs, load_prompts
from lidr.records import Response, Verdict
from lidr.records.jsonl import read_rows


def test_prompts(tmp_path: Path) -> None:
    write(tmp_path / "es.json", prompt_rows())
    first, second = load_prompts(tmp_path, "es", 2)
    assert (first.id, first.lang, first.text, first.source.row) == ("alpaca-1", "es", "haz 1", 0)
    assert (second.id, second.source.name) == ("alpaca-2", (tmp_path / "es.json").as_posix())
    write(tmp_path / "es.json", [{"instruction": "uno"}, {"instruction": "dos", "more": 1}])
    assert [prompt.id for prompt in load_prompts(tmp_path, "es", 2)] == ["alpaca-1", "alpaca-2"], "the rows' numbers"


@pytest.mark.parametrize(
    ("generator", "place"),
    [
        ("gpt", "es/gpt/model_outputs.json"),
        ("gpt", "es.json"),
        ("org/model-1", "es/org/model-1/model_outputs.json"),
        ("org/model-1", "es/org__model-1/model_outputs.json"),
    ],
)
def test_outputs_are_joined_on_the_instruction(tmp_path: Path, generator: str, place: str) -> None:
    write(tmp_path / "prompts/es.json", prompt_rows())
    rows = output_rows(4, generator)[::-1]  # another order, one extra row
    for row, odd in zip(rows, ("x", 7, None), strict=False):
        row["id"] = odd
    write(tmp_path / "outputs" / place, rows)
    answers = load_outputs(tmp_path / "outputs", "es", generator, load_prompts(tmp_path / "prompts", "es", 3))
    assert [(row.id, row.lang, row.text) for row in answers] == [(f"alpaca-{n}", "es", f"hecho {n}") for n in (1, 2, 3)]


def test_columns_that_are_not_used_may_hold_anything(tmp_path: Path) -> None:
    prompt = '{"instruction": "haz 1", "id": 1.0, "input": NaN, "dataset": "\\ud83d", "x": {"a": Infinity}}\r\n'
    (tmp_path / "es.json").write_bytes(b"\xef\xbb\xbf" + prompt.encode() + b"\r\n")
    assert [(p.id, p.text) for p in load_prompts(tmp_path, "es", 1)] == [("alpaca-1", "haz 1")]
    output = '{"instruction": "haz 1", "output": "", "generator": "gpt", "id": NaN, "id": 3}\n'
    write(tmp_path / "o/es.json", output)
    assert [row.text for row in load_outputs(tmp_path / "o", "es", "gpt", load_prompts(tmp_path, "es", 1))] == [""]


def changed(rows: Rows, change: Callable[[Rows], object]) -> object:
    found = change(rows)
    return rows if found is None else found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [], "no rows; one or more are expected"),
        (lambda rows: rows[1].pop("instruction") and None, "row 2: no field 'instruction'; there are id, dataset"),
        (lambda rows: rows[2].update(instruction=" "), "row 3: the field 'instruction' holds ' '; a text is expected"),
        (lambda rows: rows[1].update(input="x, y"), "row 2: an input beside the instruction, 'x, y'; one instruction"),
        (lambda rows: rows[2].update(instruction="haz 1"), "row 3: the same instruction as in row 1: 'haz 1'"),
        (lambda rows: rows[2].update(id=1), "row 3: the same id as in row 1: '1'; each is expected once"),
        (lambda rows: rows[1].pop("id") and None, "row 2: some rows have an id and some do not"),
        (lambda rows: rows[:2], "2 prompts; 3 are expected (alpaca.items)"),
    ],
)
def test_bad_prompts_are_named(tmp_path: Path, change: Callable[[Rows], object], message: str) -> None:
    path = write(tmp_path / "es.json", changed(prompt_rows(), change))
    with pytest.raises(InputError) as caught:
        load_prompts(tmp_path, "es", 3)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [], "no rows; one or more are expected"),
        (
            lambda rows: rows[1].update(output="\ud83d"),
            "row 2: the field 'output' holds '\\ud83d', half of a surrogate",
        ),
        (lambda rows: rows[1].pop("output") and None, "row 2: no field 'output'; there are generator, dataset, id, in"),
        (lambda rows: rows[1].update(generator="other"), "row 2: an output of 'other'; outputs of 'gpt' are expected"),
        (lambda rows: rows[2].update(instruction="haz 1"), "row 3: the same instruction as in row 1"),
        (lambda rows: rows[:2], "no output for the instruction of row 3 of "),
    ],
)
def test_bad_outputs_are_named(tmp_path: Path, change: Callable[[Rows], object], message: str) -> None:
    write(tmp_path / "prompts/es.json", prompt_rows())
    path = write(tmp_path / "es/gpt/model_outputs.json", changed(output_rows(), change))
    with pytest.raises(InputError) as caught:
        load_outputs(tmp_path, "es", "gpt", load_prompts(tmp_path / "prompts", "es", 3))
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_language_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/sw\.json: no such file"):
        load_prompts(tmp_path, "sw", 3)
    with pytest.raises(InputError, match=r"sw/gpt/model_outputs\.json: no such file, and no .*/sw\.json"):
        load_outputs(tmp_path, "sw", "gpt", [])


# --- the stages ------------------------------------------------------------------------------------------------------


def test_baseline_writes_published_answers_and_overwrites_nothing_with_bad_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data/sources/p/es.json", prompt_rows())
    file = write(tmp_path / "data/sources/o/es/gpt-4/model_outputs.json", output_rows(generator="gpt-4"))
    configure(Path("data/sources/p"), Path("data/sources/o"), "gpt-4", 3)
    baseline.run(config.load())
    answers = paths.baseline() / paths.ANSWERS
    before = answers.read_bytes()
    assert [row.text for row in read_rows(answers, Response)] == ["hecho 1", "hecho 2", "hecho 3"]
    write(file, [])
    done = CliRunner().invoke(main, ["baseline"])
    assert (done.exit_code, answers.read_bytes()) == (1, before)
    assert done.output.splitlines()[-1].startswith(
        "Error: data/sources/o/es/gpt-4/model_outputs.json: no rows; one or more are expected"
    )


def test_published_models_are_judged_against_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIDR_JUDGE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write(tmp_path / "data/sources/p/es.json", prompt_rows(30))
    write(tmp_path / "data/sources/o/es/openai/gpt-4/model_outputs.json", output_rows(30, "openai/gpt-4"))
    ours = [row | {"output": row["output"] + " bien"} for row in output_rows(30, "org/gpt-3.5")]
    write(tmp_path / "data/sources/o/es/org/gpt-3.5/model_outputs.json", ours)
    with running() as endpoint:
        configure(Path("data/sources/p"), Path("data/sources/o"), "openai/gpt-4", 30, ENDPOINT.format(endpoint.url))
        for command in (["baseline"], ["alpaca", "org/gpt-3.5", "--outputs", "data/sources/o"]):
            done = CliRunner().invoke(main, command)
            assert done.exit_code == 0, done.output
    assert done.output.startswith("alpaca org/gpt-3.5 against openai/gpt-4: win rate ")
    folder = paths.judged("org/gpt-3.5", "openai/gpt-4")
    assert folder == Path("reports/judged/org~gpt-3.5-against-openai~gpt-4")
    rows = list(read_rows(folder / paths.VERDICTS, Verdict))
    figures = json.loads((folder / paths.METRICS).read_text("utf-8"))["es"]
    judged = [row.preference for row in rows if row.preference is not None]
    assert figures["win_rate"] == pytest.approx(100 * sum(p - 1 for p in judged) / len(judged), abs=1e-6)
    assert figures["lc_low"] <= figures["lc_win_rate"] <= figures["lc_high"]
    assert figures["length"] == figures["baseline_length"] + 5
    assert figures["unjudged"] == pytest.approx(1 - len(judged) / 30, abs=1e-6)
    assert figures["judge_cost"] == pytest.approx((3_000 * 10 + 30 * 30) / 1e6)
    assert all(KEY not in file.read_text("utf-8") for file in tmp_path.rglob("*") if file.is_file())


def test_a_language_that_cannot_be_identified_costs_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIDR_JUDGE_KEY", KEY)
    for name in ("gpt-4", "gpt-3.5"):
        write(tmp_path / f"data/sources/o/gsw/{name}/model_outputs.json", output_rows(3, name))
    write(tmp_path / "data/sources/p/gsw.json", prompt_rows())
    with running() as endpoint:
        configure(Path("data/sources/p"), Path("data/sources/o"), "gpt-4", 3, ENDPOINT.format(endpoint.url))
        params = Path("params.yaml")
        params.write_text(
            params.read_text("utf-8").replace("languages: [es]\n  items: 3", "languages: [gsw]\n  items: 3")
        )
        assert CliRunner().invoke(main, ["baseline"]).exit_code == 0
        done = CliRunner().invoke(main, ["alpaca", "gpt-3.5", "--outputs", "data/sources/o"])
        assert "py3langid does not know the language 'gsw'" in done.output and done.exit_code == 1
        assert endpoint.bodies == []


def test_names_that_are_no_names_and_options_that_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configure(Path("data/sources/p"), Path("data/sources/o"), "gpt-4", 3)
    for arguments, message in (
        (["../x", "--outputs", "data/sources/o"], "cannot be the name of a folder"),
        (["m1", "--against", "m1"], "two models are expected"),
        (["m1", "--against", "m9"], "no model 'm9' in params.yaml"),
        (["m1", "--against", "m0", "--outputs", "data/sources/o"], "exclude each other"),
    ):
        done = CliRunner().invoke(main, ["alpaca", *arguments])
        assert done.exit_code != 0 and message in done.output
    assert not paths.REPORTS.exists()
