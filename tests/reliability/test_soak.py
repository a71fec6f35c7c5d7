"""Two hundred iterations of a tiny pipeline in one process: neither its memory nor its open files grow.

    make soak            LIDR_SOAK_ITERATIONS=200, the curve to benchmarks/results/soak.json and docs/img/soak.png

Commands, files and the MLflow store are real; only the model is a fake that answers by a rule. The first iterations of
a process, which load libraries and fill caches of compiled queries, are excluded.
"""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from click.testing import CliRunner
from factories import FakeEngine, edited

from lidr import config
from lidr.cli import main, runs
from lidr.engines.base import Request
from lidr.records.prompt_templates import CLOSING_TAG
from lidr.tracking import sync

ITERATIONS = int(os.environ.get("LIDR_SOAK_ITERATIONS", "0"))
RESULTS = os.environ.get("LIDR_SOAK_RESULTS")
WARM_UP = 0.2  # the share of iterations before the fit
CONFIDENCE = 0.95
# Over all iterations, at the upper end of the interval: leaking one small file of rows per iteration exceeds it.
LARGEST_GROWTH = 0.05
COMMANDS = [
    ("prompts", "m1"),
    ("generate", "m1"),
    ("translate", "m1"),
    ("pairs", "m1"),
    ("audit", "m1"),
    ("mgsm", "m0"),
]
SMALL = [
    ("languages: [es, de, fr, ru]", "languages: [es]"),
    ("  per_iteration:", "  per_iteration: 8"),
    ("  round_trip:", "  round_trip: 4"),
    ("  languages: [en, es, de, fr, ru, it, pt]   # it", "  languages: [en, es]  # it"),
    ("  items: 250", "  items: 8"),
    ("  languages: [en, es, de, fr, ru, it, pt]", "  languages: [en, es]"),
    ("  items: 250", "  items: 8"),
]


def _answer(request: Request) -> str:
    asked = request.conversation[0]["content"]
    if request.id.count(":") == 2:
        return f"{asked[-30:].strip()} 7{CLOSING_TAG}"
    return f"{len(asked)} + 1 = {len(asked) + 1}. {asked[:30]}"


def _log(experiment: str) -> None:
    """Log all runs in an experiment of its own, since a sync skips what MLflow has."""
    tracking = config.Tracking(experiment=experiment, system_metrics=False)
    settings = msgspec.structs.replace(config.load(), tracking=tracking)
    jobs = [runs.job_of(settings, *command) for command in COMMANDS]
    assert len(sync(settings, jobs)) == len(COMMANDS)


def _run(*command: str) -> str:
    done = CliRunner().invoke(main, list(command))
    assert done.exit_code == 0, (command, done.output, done.exception)
    return done.output


@pytest.fixture
def pipeline(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny pipeline with its base and a fake engine."""
    for name in ("LIDR_TRACKING", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    # In `dvc repro`, short stages do not log themselves.
    monkeypatch.setenv("DVC_STAGE", "soak")
    for module in ("lidr.generation.generate", "lidr.generation.translate", "lidr.evaluation.answers"):
        monkeypatch.setattr(f"{module}.open_engine", lambda *_: FakeEngine(_answer))
    (root / "params.yaml").write_text(edited(*SMALL), "utf-8")
    _run("base")
    return root


@pytest.mark.skipif(not ITERATIONS, reason="takes many minutes: `make soak`")
@pytest.mark.usefixtures("pipeline")
def test_memory_and_open_files_stay_flat() -> None:
    process, memory, files = psutil.Process(), list[float](), list[int]()
    for number in range(ITERATIONS):
        for command in COMMANDS:
            _run(*command)
        _log(f"iteration {number}")
        gc.collect()
        memory.append(round(process.memory_info().rss / 2**20, 2))
        files.append(process.num_fds())
        if number % 10 == 9:
            print(number + 1, memory[-1], files[-1], flush=True)
    figures = _figures(memory, files)
    if RESULTS:
        _keep(Path(RESULTS), figures | {"memory_mib": memory, "open_files": files})
    assert figures["growth_high_mib"] < LARGEST_GROWTH * figures["memory_after_warm_up_mib"], figures
    assert figures["open_files_at_most"] <= figures["open_files_after_warm_up"], figures


def _figures(memory: list[float], files: list[int]) -> dict[str, Any]:
    """The Theil-Sen slope of memory after the warm-up, and the growth over all iterations."""
    from scipy.stats import theilslopes

    start = int(WARM_UP * len(memory))
    slope, _, low, high = theilslopes(memory[start:], alpha=CONFIDENCE)
    return {
        "iterations": len(memory),
        "warm_up": start,
        "memory_after_warm_up_mib": memory[start],
        "growth_mib": round(float(slope) * len(memory), 2),
        "growth_low_mib": round(float(low) * len(memory), 2),
        "growth_high_mib": round(float(high) * len(memory), 2),
        "open_files_after_warm_up": max(files[start : 2 * start]),
        "open_files_at_most": max(files[start:]),
    }


def _keep(path: Path, results: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    path.write_text(json.dumps(results) + "\n", "utf-8")
    figure, (upper, lower) = pyplot.subplots(2, 1, sharex=True, figsize=(7, 4), layout="constrained")
    for axes, name, label in ((upper, "memory_mib", "resident memory, MiB"), (lower, "open_files", "open files")):
        axes.plot(range(1, len(results[name]) + 1), results[name])
        axes.set_ylabel(label)
        axes.set_ylim(0, 1.2 * max(results[name]))
        axes.axvspan(1, results["warm_up"], alpha=0.1, label="warm-up")
    lower.set_xlabel("iteration")
    upper.legend(loc="lower right")
    figure.savefig(path.parents[2] / "docs/img/soak.png", dpi=120, metadata={"Software": None})
    pyplot.close(figure)
