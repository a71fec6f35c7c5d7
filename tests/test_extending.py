"""Extensions by new files in a copy of the project, without changes to other files.

A benchmark is its package, its block of params.yaml, its stage of dvc.yaml (with its files in `compare` there) and its
test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import clones
import pytest
from compared_project import write_answers, write_verdicts
from factories import ROOT, edited
from ruamel.yaml import YAML

DECLARATION = '''"""Exact match: whether the last word of an answer is the right one.

exact: {source: lab, languages: [en, es], items: 3, max_new_tokens: 64}
"""

from lidr.config.evaluation import Generative
from lidr.evaluation.registry import Benchmark
from lidr.records import Record


class Exact(Generative, frozen=True, kw_only=True):
    """Exact match."""


class Match(Record, frozen=True):
    id: str
    lang: str
    prompt: str
    completion: str
    gold: str
    right: bool


class ExactBenchmark(Benchmark):
    name, title = "exact", "Exact match"
    purpose = "Measure how often a model's answer ends in the right word."
    section, record = Exact, Match


BENCHMARK = ExactBenchmark()
'''

STAGE = '''"""Stage `exact`: ask, match and write."""

from lidr.evaluation.answers import ask, key, lab_items, write
from lidr.evaluation.exact import BENCHMARK, Match
from lidr.evaluation.summary import summarise


def run(settings, model):
    block = BENCHMARK.block(settings)
    items = lab_items("problems", block.languages, block.items, settings.seed)
    completions = ask(settings, block, BENCHMARK.name, model, items)
    rows = [match(item, completions[key(item)].text) for item in items]
    metrics = summarise(BENCHMARK, settings, rows)
    write(BENCHMARK, model, rows, metrics)
    return metrics


def match(item, text):
    right = text.rstrip(".").endswith(f" {item.answer}")
    return Match(id=item.id, lang=item.lang, prompt=item.text, completion=text, gold=str(item.answer), right=right)
'''

BLOCK = """
exact:
  source: lab
  languages: [en, es]
  items: 3
  max_new_tokens: 64
"""

# The benchmark's files in the stage `compare` of dvc.yaml: (existing text, text to add after it).
COMPARED = (
    ("reports/mgsm, reports/alpaca, reports/harness", ", reports/exact"),
    (
        "    params: [profile, models, iterations, dominant, languages, base, seed, mgsm, baseline, alpaca, harness,",
        " exact,",
    ),
    ("      - reports/compare/harness.svg: {cache: false}\n", "      - reports/compare/exact.svg: {cache: false}\n"),
    (
        "    plots:\n",
        "      - reports/compare/exact.csv: {cache: false, template: scatter, x: iteration, y: value}\n",
    ),
)

DVC_STAGE = """
  exact:
    foreach: ${models}
    do:
      cmd: lidr exact ${item}
      deps:
        - src/lidr/evaluation
        - src/lidr/engines
        - src/lidr/chat
        - src/lidr/models
        - src/lidr/config
        - src/lidr/records
        - src/lidr/lab
        - models/m0
        - models/${item}
      params: [seed, engine, exact, compare]
      outs:
        - reports/exact/${item}/answers.jsonl
      metrics:
        - reports/exact/${item}/metrics.json: {cache: false}
"""

TEST = """
from factories import prompt
from msgspec.structs import replace

from lidr.evaluation.exact import BENCHMARK
from lidr.evaluation.exact.stage import match


def test_the_last_word_decides():
    item = replace(prompt("a", "en"), answer="18")
    assert BENCHMARK.outcome(match(item, "That makes 18.")) == ("right", True)
    assert BENCHMARK.outcome(match(item, "18 it is not")) == ("wrong", False)
"""

# One model, so that no training is needed.
ALONE = """models: [m0]
data: {}
iterations: {}
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A clone of the project without iterations."""
    folder = clones.clone(tmp_path / "project", {})
    params = folder / "params.yaml"
    text = params.read_text("utf-8")
    before, after = text.index("models:"), text.index("base:\n")
    params.write_text(text[:before] + ALONE + text[after:], "utf-8")
    return folder


# In one process, since each would import the libraries again.
COMMANDS = """
import json, sys
from click.testing import CliRunner
from lidr.cli import main
for command in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 0, (command, done.output, done.exception)
    print(json.dumps(done.output))
"""


def said_by(folder: Path, *commands: str) -> list[str]:
    """The outputs of these commands of the copy."""
    text = clones.run(
        "python", "-c", COMMANDS, json.dumps(commands), cwd=folder, PYTHONPATH=str(folder / "src"), LIDR_TRACKING="off"
    )
    return [json.loads(line) for line in text.splitlines() if line.startswith('"')]


@pytest.mark.pipeline
def test_a_benchmark_is_its_package_its_block_its_stage_and_its_test(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = copy / "src" / "lidr" / "evaluation" / "exact"
    package.mkdir()
    (package / "__init__.py").write_text(DECLARATION)
    (package / "stage.py").write_text(STAGE)
    with (copy / "params.yaml").open("a", encoding="utf-8") as file:
        file.write(BLOCK)
    pipeline = (copy / "dvc.yaml").read_text("utf-8")
    for line, following in COMPARED:
        assert pipeline.count(line) == 1
        pipeline = pipeline.replace(line, line + following)
    (copy / "dvc.yaml").write_text(pipeline + DVC_STAGE, "utf-8")
    (copy / "tests" / "evaluation" / "test_exact.py").write_text(TEST)
    # Results of the other benchmarks.
    monkeypatch.chdir(copy)
    write_answers("m0")
    write_verdicts("m0")
    for block in ("mgsm", "alpaca"):
        _set(copy / "params.yaml", block, "languages", ["en", "es", "it"])
    _set(copy / "params.yaml", "harness", "tasks", [])

    helped, _, measured, _, shown, planned = said_by(
        copy, "--help", "base", "exact m0", "compare", "compare --show", "plan"
    )
    assert "Measure how often" in helped
    said = measured.splitlines()
    assert said[0].startswith("exact m0: accuracy ") and said[0].endswith(" on average over 2 languages")
    metrics = json.loads((copy / "reports/exact/m0/metrics.json").read_bytes())
    assert list(metrics) == ["en", "es", "average"] and metrics["average"]["n"] == 6
    assert list(metrics["en"]) == ["accuracy", "low", "high", "n"]
    compared = json.loads((copy / "reports/compare/metrics.json").read_bytes())
    assert compared["m0"]["exact"]["en"]["accuracy"] == metrics["en"]["accuracy"]
    assert "Exact match accuracy, %" in shown
    assert 'id="exact"' in (copy / "reports/compare/index.html").read_text("utf-8")
    assert (copy / "reports/compare/exact.svg").exists()
    assert "exact@m0" in planned
    # dvc.yaml lists the stage's code and the files for `compare`, and the new test runs with the others.
    checks = ["tests/evaluation/test_exact.py", "tests/test_architecture.py", "tests/test_dvc_yaml.py"]
    chosen = ["-k", "exact or figures_and_their_columns"]
    run = clones.run("python", "-m", "pytest", "-q", *chosen, *checks, cwd=copy, PYTHONPATH=str(copy / "src"))
    assert " passed" in run


def _set(path: Path, block: str, key: str, value: object) -> None:
    yaml = YAML()
    document = yaml.load(path)
    document[block][key] = value
    yaml.dump(document, path)


RULE = '''

@rule(between_dominant_and_others)
def own_answers(texts: Texts, dominant: str) -> Choose:
    """The dominant language's own answer over the other language's own."""
    return lambda prompt, lang, other_lang: Sides(Origin(dominant), Origin(other_lang if lang == dominant else lang))
'''

FILTER = '''

@drops
def too_short(pair: Candidate, *, fewest: int = 12) -> str | None:
    """The chosen answer has fewer than `fewest` characters."""
    length = len(pair.chosen.text)
    return f"chosen: {length} characters" if length < fewest else None
'''

PAIR_UP = """
from factories import prompt, response, translation
from lidr import config
from lidr.pairs import stage
from lidr.pairs.texts import Texts

settings = config.load()
answers = {"en": "A long answer of the dominant one", "es": "Otra respuesta"}
texts = Texts(
    prompts={lang: {"p": prompt("p", lang)} for lang in answers},
    responses={lang: {"p": response("p", lang, text)} for lang, text in answers.items()},
    translations={
        ("en", "es"): {"p": translation("p", "en", "es", "La respuesta propia")},
        ("es", "en"): {"p": translation("p", "es", "en", "Another answer")},
    },
)
pairs, drops = stage.make(settings, texts)
for pair in pairs:
    print(pair.id, pair.rule, pair.chosen_from, pair.rejected_from)
for drop in drops:
    print(drop.lang, drop.reason, drop.detail)
"""


def pairs_of(folder: Path, addition: tuple[str, str], block: str) -> list[str]:
    """The pairs of a prompt, by a block `pairs` and a copy of the package with an addition to one file."""
    package = folder / "src" / "lidr"
    shutil.copytree(ROOT / "src" / "lidr", package, ignore=shutil.ignore_patterns("__pycache__"))
    name, text = addition
    with (package / "pairs" / name).open("a", encoding="utf-8") as file:
        file.write(text)
    params = edited(("languages: [es, de, fr, ru]", "languages: [es]"))
    start = params.index("pairs:\n")
    end = params.index("\ntrain:\n")
    (folder / "params.yaml").write_text(f"{params[:start]}pairs: {block}\n{params[end:]}", "utf-8")
    path = os.pathsep.join([str(package.parent), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", PAIR_UP],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_rule_is_its_function(tmp_path: Path) -> None:
    assert pairs_of(tmp_path, ("rules.py", RULE), "{rule: own_answers}") == [
        "p:es:en own_answers response:p:en response:p:es",
        "p:en:es own_answers response:p:en response:p:es",
    ]


def test_a_filter_is_its_function(tmp_path: Path) -> None:
    assert pairs_of(
        tmp_path, ("filters.py", FILTER), "{rule: imbalance, filters: [{name: too_short, fewest: 20}]}"
    ) == [
        "p:en:es own_dominant response:p:en translation:p:es-en",
        "es too_short chosen: 19 characters",
    ]
