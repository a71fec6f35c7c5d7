"""The comparison of two pipelines, on few enough rows to count by hand."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from lidr.compare.pipelines import contrast, text
from lidr.errors import InputError
from lidr.evaluation.alpaca import BENCHMARK as ALPACA
from lidr.evaluation.mgsm import BENCHMARK as MGSM
from lidr.tracking.lookup import Pipeline

N = 8


def row(benchmark: str, lang: str, number: int, **scores: float | None) -> dict[str, Any]:
    return {"benchmark": benchmark, "lang": lang, "id": f"i-{number}", "prompt": f"ask {number} {lang}", **scores}


BASELINE = "dvc.in.reports/alpaca/baseline"
TAGS = {"lidr.base": "3f1c", BASELINE: "5f4d.dir"}


def pipeline(name: str, right: int, win_rate: float, models: tuple[str, ...] = ("m0", "m1")) -> Pipeline:
    """The last model gets the first `right` items in es and all in en; the others get none, and all win 50."""
    *earlier, last = models
    rows = [
        row("mgsm", lang, n, **dict.fromkeys(earlier, 0.0), **{last: float(lang == "en" or n < right)})
        for lang in ("en", "es")
        for n in range(N)
    ]
    rows += [row("alpaca", "es", n, **dict.fromkeys(earlier, 50.0), **{last: win_rate}) for n in range(N)]
    params = {"compare.confidence": "0.95", "baseline.model": "m0", "train.dpo.beta": name}
    return Pipeline(run_id=f"{name}-id", name=name, params=params, tags=TAGS, rows=rows)


def test_levels_and_paired_changes() -> None:
    found = contrast(MGSM, pipeline("a", right=1, win_rate=50), pipeline("b", right=7, win_rate=50))
    assert (found.model, found.languages) == ("m1", ("en", "es"))
    assert found.levels[0]["m1"] == {"en": 1.0, "es": 0.125, "average": 0.5625}
    assert found.levels[1]["m1"] == {"en": 1.0, "es": 0.875, "average": 0.9375}
    es = found.changes["es"]
    assert (es.difference, es.gained, es.lost, es.n) == (0.75, 6, 0, 8)
    # Six items of six in one direction: 2 / 2^6, times the two languages.
    assert (es.p_value, es.p) == (0.03125, 0.0625)
    assert found.changes["average"].difference == 0.375


def test_last_model_that_both_have_is_tested() -> None:
    longer = pipeline("b", right=7, win_rate=50, models=("m0", "m1", "m2"))
    found = contrast(MGSM, pipeline("a", right=1, win_rate=50), longer)
    assert found.model == "m1"
    assert list(found.levels[1]) == ["m0", "m1", "m2"]
    assert found.changes["es"].difference == -0.125


def test_rows_that_are_not_judged_are_left_out() -> None:
    second = pipeline("b", right=1, win_rate=75)
    rows = [
        entry | {"m1": None} if entry["id"] == "i-3" and entry["benchmark"] == "alpaca" else entry
        for entry in second.rows
    ]
    found = contrast(ALPACA, pipeline("a", right=1, win_rate=50), replace(second, rows=rows))
    assert found.changes["es"].n == N - 1
    assert found.changes["es"].difference == 25.0


def test_other_items_are_refused() -> None:
    second = pipeline("b", right=1, win_rate=50)
    rows = [{**second.rows[0], "prompt": "another question"}, *second.rows[1:]]
    with pytest.raises(InputError, match="MGSM: 1 items are not the same in both pipelines, the first is 'i-0:en'"):
        contrast(MGSM, pipeline("a", right=1, win_rate=50), replace(second, rows=rows))


def test_text_says_what_differs_and_by_how_much() -> None:
    first, second = pipeline("a", right=1, win_rate=50), pipeline("b", right=7, win_rate=75)
    second = replace(second, params=second.params | {"base.template.enable_thinking": "false"})
    lines = text(first, second).splitlines()
    assert lines[:3] == ["A  a  a-id", "B  b  b-id", "   train.dpo.beta  a | b"]
    assert lines.pop(3) == "   base.template.enable_thinking  - | false"
    assert lines[4].startswith("MGSM accuracy, %")
    assert lines[5].split() == ["A", "m0", "A", "m1", "B", "m0", "B", "m1", "B", "-", "A", "at", "m1"]
    assert lines[7].split()[:7] == ["es", "0.0", "12.5", "0.0", "87.5", "+75.0", "points"]
    assert lines[7].endswith("p = 0.062 (Holm), n = 8")
    assert "own baseline" not in lines[-1]


@pytest.mark.parametrize("tags", [TAGS | {"lidr.base": "another"}, TAGS | {BASELINE: "another.dir"}])
def test_text_says_that_win_rates_are_against_other_baselines(tags: dict[str, str]) -> None:
    first, second = pipeline("a", right=1, win_rate=50), pipeline("b", right=7, win_rate=75)
    for one, other in ((first, replace(second, tags=tags)), (replace(first, tags=tags), second)):
        assert text(one, other).splitlines()[-1].endswith("each win rate is against the pipeline's own baseline.")
