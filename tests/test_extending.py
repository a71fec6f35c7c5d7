"""What is extended by files of its own, in a copy of the project: no other file of it is touched.

A benchmark is its package, its block of params.yaml, its stage of dvc.yaml (and what `compare` there has of it) and its
test.
"""

from __future__ import annotations

import json
from pathlib import Path

import clones
import pytest
from compared_project import write_answers, write_verdicts
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

from lidr.evaluation.answers import ask, key, lab_items, summarise, write
from lidr.evaluation.exact import BENCHMARK, Match
from lidr.models import policy


def run(settings, model):
    block = BENCHMARK.block(settings)
    items = lab_items("problems", block.languages, block.items, settings.seed)
    asked = policy.resolve(model)
    completions = ask(settings, asked, BENCHMARK.name, items, block.max_new_tokens, block.repetition_penalty)
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

# In dvc.yaml, what the stage `compare` reads and writes because of it: (a line that is there, what follows it).
COMPARED = (
    ("      - reports/harness\n", "      - reports/exact\n"),
    ("    params: [models, iterations, dominant, languages, seed, mgsm, baseline, alpaca, harness,", " exact,"),
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

# One model, so that nothing has to be trained.
ALONE = """models:
  - m0
iterations: {}
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A clone of the project without iterations."""
    folder = clones.clone(tmp_path / "project", {})
    params = folder / "params.yaml"
    text = params.read_text("utf-8")
    before, after = text.index("models:\n"), text.index("base:\n")
    params.write_text(text[:before] + ALONE + text[after:], "utf-8")
    return folder


def lidr(folder: Path, *arguments: str) -> str:
    return clones.run("lidr", *arguments, cwd=folder, PYTHONPATH=str(folder / "src"), LIDR_TRACKING="off")


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
    # What the other benchmarks would have found.
    monkeypatch.chdir(copy)
    write_answers("m0")
    write_verdicts("m0")
    for block in ("mgsm", "alpaca"):
        _set(copy / "params.yaml", block, "languages", ["en", "es", "it"])
    _set(copy / "params.yaml", "harness", "tasks", [])

    assert "Measure how often" in lidr(copy, "--help")
    lidr(copy, "base")
    said = lidr(copy, "exact", "m0").splitlines()
    assert said[0].startswith("exact m0: accuracy ") and said[0].endswith(" on average over 2 languages")
    metrics = json.loads((copy / "reports/exact/m0/metrics.json").read_bytes())
    assert list(metrics) == ["en", "es", "average"] and metrics["average"]["n"] == 6
    assert list(metrics["en"]) == ["accuracy", "low", "high", "n"]
    lidr(copy, "compare")
    compared = json.loads((copy / "reports/compare/metrics.json").read_bytes())
    assert compared["m0"]["exact"]["en"]["accuracy"] == metrics["en"]["accuracy"]
    assert "Exact match accuracy, %" in lidr(copy, "compare", "--show")
    assert 'id="exact"' in (copy / "reports/compare/index.html").read_text("utf-8")
    assert (copy / "reports/compare/exact.svg").exists()
    assert "exact@m0" in lidr(copy, "plan")
    assert "ok    exact         lab" in lidr(copy, "doctor")
    # dvc.yaml names the code that the stage runs and what `compare` reads of it, and the new test runs with the others.
    checks = ["tests/evaluation/test_exact.py", "tests/test_architecture.py", "tests/test_dvc_yaml.py"]
    chosen = ["-k", "exact or figures_and_their_columns"]
    run = clones.run("python", "-m", "pytest", "-q", *chosen, *checks, cwd=copy, PYTHONPATH=str(copy / "src"))
    assert " passed" in run


def _set(path: Path, block: str, key: str, value: object) -> None:
    yaml = YAML()
    document = yaml.load(path)
    document[block][key] = value
    yaml.dump(document, path)
