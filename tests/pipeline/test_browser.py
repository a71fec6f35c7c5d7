"""MLflow's pages of a project in a real browser."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_pipeline import ROOT, store

sys.path.insert(0, str(ROOT / "docs"))
from screenshots import CHROMIUM, Pages, opened

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium (Debian's package `chromium`)"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="no playwright (the extra `dev`)"),
]
LANGUAGES = ("en", "es", "de", "it")


@pytest.fixture(scope="module")
def pages(experiments: Path) -> Iterator[Pages]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with opened(experiments) as opened_pages:
            yield opened_pages


@pytest.fixture(scope="module")
def higher(experiments: Path) -> Any:
    """The parent run of the experiment that trained."""
    return next(run for run in store(experiments).experiments() if run.data.tags["dvc.experiment"] == "higher")


def child(experiments: Path, parent: Any, name: str) -> Any:
    return next(run for run in store(experiments).children(parent) if run.info.run_name.startswith(name))


def test_address_that_ui_prints_shows_the_latest_pipelines_curves(pages: Pages, experiments: Path) -> None:
    latest = store(experiments).experiments()[-1]
    text = pages.latest_curves()
    assert latest.info.run_name in text and "alpaca win rate\n(7)" in text


def test_list_shows_parents_and_their_children(pages: Pages, higher: Any) -> None:
    text = pages.runs(higher.info.experiment_id, higher.info.run_id)
    assert text.count("lab · beta") >= 2
    assert "train m2 · beta 0.2" in text


def test_parents_charts_have_a_point_for_each_iteration(pages: Pages, experiments: Path, higher: Any) -> None:
    charts = pages.curves(higher.info.experiment_id, higher.info.run_id, "mgsm accuracy")
    for lang in LANGUAGES:
        values = dict(store(experiments).history(higher.info.run_id, f"mgsm accuracy/{lang}"))
        (chart,) = [chart for chart in charts if f"(mgsm accuracy/{lang})" in chart["legend"]]
        for steps, shown in chart["lines"]:
            assert steps == [0, 1, 2]
            assert shown == pytest.approx([values[step] for step in steps])


def test_training_names_its_dataset_and_its_model(pages: Pages, experiments: Path, higher: Any) -> None:
    train = child(experiments, higher, "train m2")
    text = pages.run(higher.info.experiment_id, train.info.run_id)
    assert "pairs m2" in text.partition("Datasets")[2]
    assert "train.dpo.beta\n0.2" in text.replace("\t", "\n")
    assert "tokens_per_second" in text
    models = pages.models(higher.info.experiment_id)
    assert "train m2 · beta 0.2" in models and "Ready" in models


def test_two_pipelines_side_by_side(pages: Pages, experiments: Path, higher: Any) -> None:
    other = next(run for run in store(experiments).experiments() if run.info.run_id != higher.info.run_id)
    both = [higher.info.run_id, other.info.run_id]
    assert "Comparing 2 Runs" in pages.compared(higher.info.experiment_id, both)
    (chart,) = pages.chart(higher.info.experiment_id, both, ["mgsm accuracy/es"])
    expected = [list(dict(store(experiments).history(run, "mgsm accuracy/es")).values()) for run in both]
    assert all(steps == [0, 1, 2] for steps, _ in chart["lines"])
    assert all(any(shown == pytest.approx(values) for _, shown in chart["lines"]) for values in expected)


def test_our_page_opens_in_mlflow_without_an_error(pages: Pages, experiments: Path, higher: Any) -> None:
    compare = child(experiments, higher, "compare")
    text = pages.artifact(higher.info.experiment_id, compare.info.run_id, "compare/index.html")
    assert "MGSM" in text
    # Errors of MLflow's own scripts and requests do not count.
    ours = [error for error in pages.errors if not any(part in error[0] for part in ("/static-files/", "/ajax-api/"))]
    assert ours == []
