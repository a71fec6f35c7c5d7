"""One iteration of the lab's pipeline with the engine vLLM, from a clean clone, on fewer prompts."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from at_hand import VLLM_ON_CPU, skip_without_vllm
from clones import clone, run_stages

from lidr import config
from lidr.records import Answer, FinishReason, Response, Translation
from lidr.records.jsonl import read_rows

pytestmark = pytest.mark.pipeline

PROMPTS, ITEMS = 24, 20
ENGINE = """  name: vllm
  vllm: {dtype: float32, gpu_memory_utilization: 0.5, max_num_seqs: 32, enforce_eager: true}
"""
SMALLER = {
    "  name: transformers\n": ENGINE,
    "  dtype: float32\n": "",
    "  tokens_per_batch: 16384": "",
    "  processes: auto": "",
    "languages: [es, de, fr, ru]": "languages: [es, de]",
    "languages: [en, es, de, fr, ru, it, pt]": f"languages: [en, es, de]\n  items: {ITEMS}",
    "per_iteration: 500": f"per_iteration: {PROMPTS}",
    "batch_size: 64": "batch_size: 64\n  limit: 2",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    skip_without_vllm()
    folder = clone(tmp_path_factory.mktemp("vllm") / "lidr", SMALLER)
    run_stages(folder, "mgsm@m1", LIDR_TRACKING="off", **VLLM_ON_CPU)
    return folder


def test_every_prompt_has_its_answer(project: Path) -> None:
    for lang in ("en", "es", "de"):
        rows = list(read_rows(project / f"data/m1/responses/{lang}.jsonl", Response))
        assert len(rows) == PROMPTS
        assert sum(row.finish_reason is FinishReason.STOP for row in rows) > PROMPTS / 2


def test_answers_are_translated_and_paired(project: Path) -> None:
    readable = list(read_rows(project / "data/m1/translations/en-es.jsonl", Translation))
    assert sum(row.text is not None for row in readable) > PROMPTS / 2
    folder = project / "data/m1/pairs"
    rows = [len((folder / name).read_text("utf-8").splitlines()) for name in ("pairs.jsonl", "drops.jsonl")]
    assert sum(rows) == PROMPTS * 2 * 2 and rows[0] > 0


def test_the_trained_adapter_was_measured(project: Path) -> None:
    """As a LoRA adapter on the base: its answers are those of a working model."""
    assert config.load(project / "params.yaml").engine.name == "vllm"
    answers = list(read_rows(project / "reports/mgsm/m1/answers.jsonl", Answer))
    assert len(answers) == ITEMS * 3
    metrics = json.loads((project / "reports/mgsm/m1/metrics.json").read_text("utf-8"))
    assert metrics["en"]["accuracy"] >= 0.5


def test_nothing_of_it_runs_on(project: Path) -> None:
    assert [p.info for p in psutil.process_iter(["cmdline", "cwd"]) if p.info["cwd"] == str(project)] == []
