"""Any language may be dominant: the lab's pipeline with Spanish as the dominant language and English as another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories import edited
from refusal import done

from lidr.records import Pair, Translation
from lidr.records.jsonl import read_rows

pytestmark = pytest.mark.pipeline

PROMPTS = 16
PARAMS = (
    ("dominant: en", "dominant: es"),
    ("languages: [es, de, fr, ru]", "languages: [en, de]"),
    ("  - m2\n", ""),
    ("  m2:\n    by: m1\n", ""),
    ("  m2:\n    previous: m1\n    data: m2\n", ""),
    ("per_iteration: 500", f"per_iteration: {PROMPTS}"),
    *[("languages: [en, es, de, fr, ru, it, pt]", "languages: [es, en, it]")] * 2,
    *[("items: 250", "items: 8")] * 2,
    ("tasks: [lab_sums, lab_translation]", "tasks: [lab_sums_es]"),
    ("limit: null", "limit: 4"),
    ("resamples: 9999", "resamples: 200"),
    ("logging_steps: 20", "logging_steps: 2"),
)
COMMANDS = ["base"]
COMMANDS += [f"{stage} m1" for stage in ("prompts", "generate", "score", "translate", "pairs", "train", "audit")]
COMMANDS += ["baseline", *(f"{name} {model}" for name in ("mgsm", "alpaca", "harness") for model in ("m0", "m1"))]
COMMANDS += ["compare"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stages have run in order, without DVC, which other files test."""
    folder = tmp_path_factory.mktemp("dominant")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LIDR_TRACKING", "off")
        (folder / "params.yaml").write_text(edited(*PARAMS), "utf-8")
        for command in COMMANDS:
            done(*command.split())
    return folder


def test_answers_go_from_spanish_into_the_others_and_back(project: Path) -> None:
    folder = project / "data/m1/translations"
    assert sorted(path.stem for path in folder.iterdir()) == ["de-es", "en-es", "es-de", "es-en"]
    assert any(row.text for row in read_rows(folder / "es-en.jsonl", Translation))


def test_pairs_teach_the_others_from_spanish(project: Path) -> None:
    folder = project / "data/m1/pairs"
    pairs = list(read_rows(folder / "pairs.jsonl", Pair))
    drops = (folder / "drops.jsonl").read_text("utf-8").splitlines()
    assert len(pairs) + len(drops) == PROMPTS * 2 * 2 and pairs
    for pair in pairs:
        own, other = f"response:{pair.prompt_id}:{pair.lang}", pair.other_lang
        translated = f"translation:{pair.prompt_id}:{other}-{pair.lang}"
        if pair.lang == "es":
            assert (pair.rule, pair.chosen_from, pair.rejected_from) == ("own_dominant", own, translated)
        else:
            assert (pair.lang in ("en", "de"), other, pair.rule) == (True, "es", "translated_dominant")
            assert (pair.chosen_from, pair.rejected_from) == (translated, own)


def test_audit_and_comparison_are_made(project: Path) -> None:
    audit = json.loads((project / "reports/m1/audit/metrics.json").read_text("utf-8"))
    comparison: dict[str, Any] = json.loads((project / "reports/compare/metrics.json").read_text("utf-8"))
    reward = audit["reward"]["by_language"]
    assert set(reward) == {"es", "en", "de"} and set(comparison) == {"m0", "m1"}
    # The lab's base is best in English: training on Spanish answers as chosen would harm it, and the audit says so.
    assert reward["en"]["verdict"] == "stop: reversed"
    report = (project / "reports/compare/report.md").read_text("utf-8")
    assert "| es" in report and "| it" in report
