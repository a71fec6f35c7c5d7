"""All paths of the project, relative to its root, which is the working folder; no other module spells file names.

>>> response_file("m1", "es")
PosixPath('data/m1/responses/es.jsonl')
"""

from __future__ import annotations

from pathlib import Path

PARAMS = Path("params.yaml")
PROFILES = Path("profiles")
POINTERS = PROFILES / "sources"
LAUNCHERS = PROFILES / "accelerate"
PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")
DATA = Path("data")
SOURCES = DATA / "sources"
MODELS = Path("models")
REPORTS = Path("reports")
# Not DVC outputs: shards, libraries' files, and what MLflow does not have yet.
WORK = Path(".lidr")
# MLflow's store, if no server is configured.
MLFLOW_STORE = Path("mlflow.db")
MLFLOW_ARTIFACTS = Path("mlartifacts")

BASE = "m0"
DROPS = "drops.jsonl"
DUPLICATES = "duplicates.jsonl"
PAIRS = "pairs.jsonl"
RECORD = "lidr.json"
METRICS = "metrics.json"
ANSWERS = "answers.jsonl"
VERDICTS = "verdicts.jsonl"
ITEMS = "items.jsonl"
PAGE = "index.html"
REPORT = "report.md"


def profile(name: str) -> Path:
    return PROFILES / f"{name}.yaml"


def prompts(iteration: str) -> Path:
    return DATA / "prompts" / iteration


def prompt_file(iteration: str, lang: str) -> Path:
    return prompts(iteration) / f"{lang}.jsonl"


def responses(iteration: str) -> Path:
    return DATA / iteration / "responses"


def response_file(iteration: str, lang: str) -> Path:
    return responses(iteration) / f"{lang}.jsonl"


def translations(iteration: str) -> Path:
    return DATA / iteration / "translations"


def translation_file(iteration: str, source: str, target: str) -> Path:
    return translations(iteration) / f"{source}-{target}.jsonl"


def round_trip(iteration: str) -> Path:
    return DATA / iteration / "round_trip.jsonl"


def scores(iteration: str) -> Path:
    return DATA / iteration / "scores"


def score_file(iteration: str, lang: str) -> Path:
    return scores(iteration) / f"{lang}.jsonl"


def pairs(iteration: str) -> Path:
    return DATA / iteration / "pairs"


def facts(iteration: str) -> Path:
    """The audit's facts table: a row for each pair and drop."""
    return DATA / iteration / "audit" / "facts.parquet"


def audit_verdicts(iteration: str) -> Path:
    """The judge's verdicts on the pairs that the audit sampled."""
    return DATA / iteration / "audit" / VERDICTS


def model(name: str) -> Path:
    return MODELS / name


def audit(iteration: str) -> Path:
    return REPORTS / iteration / "audit"


def evaluation(benchmark: str, model_name: str) -> Path:
    return REPORTS / benchmark / model_name


def baseline() -> Path:
    return REPORTS / "alpaca" / "baseline"


def judged(model_name: str, other: str) -> Path:
    """A pairwise comparison outside the pipeline, and so outside reports/alpaca, on which `compare` depends."""
    # A generator may be named OWNER/MODEL; names have no ~.
    return REPORTS / "judged" / f"{model_name}-against-{other}".replace("/", "~")


def compare() -> Path:
    return REPORTS / "compare"


def shards(stage: str, model_name: str) -> Path:
    return WORK / "shards" / stage / model_name


def scratch(stage: str, model_name: str) -> Path:
    """Temporary files of libraries."""
    return WORK / "scratch" / stage / model_name


def lock(output: Path) -> Path:
    """The lock file of this output."""
    return WORK / "locks" / output.as_posix().replace("/", "-")


def times(output: Path) -> Path:
    """The start and end of the stage that made this output."""
    return WORK / "times" / f"{output.as_posix().replace('/', '-')}.json"


def judgment_cache(name: str) -> Path:
    return WORK / "judge" / f"{name}.jsonl"
