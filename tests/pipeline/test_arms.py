"""Two arms on the same data, which are made once; one table compares them."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_pipeline
from small_pipeline import lidr, run

pytestmark = pytest.mark.pipeline

ARM = "  m3: {previous: m0, data: m1, train: {objective: sft, eval_share: 0}}\n"


@pytest.fixture(scope="module")
def project(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with m3, which is trained on the chosen answers of m1's data and evaluated on MGSM.

    DVC makes its pairs. The rest is run here and then committed: each process of its own would import torch again.
    """
    folder = small_pipeline.copy(reproduced, tmp_path_factory.mktemp("arms") / "lidr")
    params = folder / "params.yaml"
    text = params.read_text("utf-8").replace("models: [m0, m1, m2]", "models: [m0, m1, m2, m3]")
    params.write_text(text.replace("\nbase:\n", f"{ARM}\nbase:\n", 1), "utf-8")
    run("dvc", "repro", "--single-item", "pairs@m3", cwd=folder)
    lidr(folder, "train", "m3", is_logged=False)
    lidr(folder, "mgsm", "m3", is_logged=False)
    run("dvc", "commit", "--force", "--quiet", "train@m3", "mgsm@m3", cwd=folder)
    return folder


def test_shared_data_are_made_once(project: Path) -> None:
    lock = (project / "dvc.lock").read_text("utf-8")
    assert "pairs@m3:" in lock and "train@m3:" in lock
    assert not {"prompts@m3:", "generate@m3:", "translate@m3:"} & set(lock.split())
    assert not (project / "data/m3/responses").exists()


def test_arms_have_the_same_pairs_and_other_models(project: Path) -> None:
    pairs = [project / "data" / name / "pairs/pairs.jsonl" for name in ("m1", "m3")]
    weights = [project / "models" / name / "adapter_model.safetensors" for name in ("m1", "m3")]
    assert pairs[0].read_bytes() == pairs[1].read_bytes()
    assert weights[0].read_bytes() != weights[1].read_bytes()


def test_a_change_of_the_data_reruns_both_arms(project: Path) -> None:
    status = run("dvc", "status", "pairs@m1", "pairs@m3", cwd=project)
    assert "up to date" in status
    answers = project / "data/m1/responses/es.jsonl"
    whole = answers.read_bytes()
    answers.unlink()
    answers.write_bytes(whole.replace(b"es", b"is", 1))
    try:
        changed = run("dvc", "status", "pairs@m1", "pairs@m3", cwd=project)
    finally:
        answers.write_bytes(whole)
    assert "pairs@m1:" in changed and "pairs@m3:" in changed


def test_arms_are_in_one_comparison(project: Path) -> None:
    said = lidr(project, "compare", "--show", "--only", "mgsm")
    assert ["m0", "m1", "m2", "m3"] in [line.split() for line in said.splitlines()], "the heading of the table"


def test_the_story_of_a_pair_is_that_of_its_iteration(project: Path) -> None:
    name = (project / "data/m3/pairs/pairs.jsonl").read_text("utf-8").split('"', 4)[3]
    said = lidr(project, "audit", "show", name, "--iteration", "m3")
    assert said.startswith(f"pair {name} of m3,")
    assert "data/m1/responses/" in said and "data/m3/responses/" not in said
    assert lidr(project, "audit", "show", name).startswith(f"pair {name} of m1,")
