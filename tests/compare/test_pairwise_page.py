"""Pairwise comparisons outside the pipeline, up to their page: it has all rows, and texts are escaped."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import HOSTILE, drive, needs_chromium, title, visit
from click.testing import CliRunner
from factories import edited
from fake_endpoint import KEY, Endpoint, running
from kept_verdicts import keep_verdicts
from published import ENDPOINT, configure

from lidr import config, paths
from lidr.cli import main
from lidr.compare.pairwise_page import average_interval
from lidr.records import Verdict
from lidr.records.jsonl import read_rows

PAPER = os.environ.get("LIDR_PAPER_DATA")
needs_paper = pytest.mark.skipif(
    not PAPER, reason="LIDR_PAPER_DATA names no folder with X-AlpacaEval's published files"
)
GENERATOR, BASELINE = "gpt-3.5-turbo-0125", "gpt-4-turbo-2024-04-09"


def lidr(*arguments: str) -> str:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def data(page: Path) -> list[dict[str, Any]]:
    """The data of the page's rows."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found
    rows: list[dict[str, Any]] = json.loads(found[1])["rows"]
    return rows


# --- published models, from the paper's files ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Endpoint, str]]:
    """gpt-3.5-turbo-0125 against gpt-4-turbo-2024-04-09 in Spanish: the project, the judge's requests, the output."""
    folder, published = tmp_path_factory.mktemp("paper"), Path(str(PAPER)).resolve() / "x-alpacaeval"
    with pytest.MonkeyPatch.context() as patch, running() as endpoint:
        patch.setenv("LIDR_TRACKING", "off")
        patch.setenv("LIDR_JUDGE_KEY", KEY)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.chdir(folder)
        Path("data").mkdir()
        Path("data/sources").symlink_to(published)
        configure(
            Path("data/sources/prompts"), Path("data/sources/outputs"), BASELINE, 805, ENDPOINT.format(endpoint.url)
        )
        lidr("baseline")
        said = lidr("alpaca", GENERATOR, "--outputs", str(published / "outputs"))
        yield folder / paths.judged(GENERATOR, BASELINE), endpoint, said


@needs_paper
def test_the_papers_models_all_the_way_to_the_page(judged: tuple[Path, Endpoint, str]) -> None:
    folder, endpoint, said = judged
    published = Path(str(PAPER)) / "x-alpacaeval"
    rows = list(read_rows(folder / paths.VERDICTS, Verdict))
    figures = json.loads((folder / paths.METRICS).read_text("utf-8"))["es"]
    assert len({row.id for row in rows}) == len(rows) == figures["n"] == 805
    assert len(endpoint.bodies) == sum(row.completion != row.baseline for row in rows)
    assert 0 < figures["unjudged"] < 0.1 and figures["length"] < figures["baseline_length"]

    entries = {entry["id"]: entry for entry in data(folder / paths.PAGE)}
    outputs = {
        name: {
            row["instruction"]: row["output"]
            for row in json.loads((published / "outputs/es" / name / "model_outputs.json").read_text("utf-8"))
        }
        for name in (GENERATOR, BASELINE)
    }
    assert len(entries) == 805
    for entry in entries.values():
        instruction = entry["prompts"][0]["text"]
        assert [pane["title"] for pane in entry["panes"]] == [GENERATOR, BASELINE]
        assert [pane["text"] for pane in entry["panes"]] == [
            outputs[GENERATOR][instruction],
            outputs[BASELINE][instruction],
        ]
    counts = Counter(entry["outcome"] for entry in entries.values())
    assert [counts[name] for name in ("won", "tied", "lost", "not judged")] == [
        round(805 * figures[name]) for name in ("wins", "ties", "losses", "unjudged")
    ]
    text = (folder / paths.PAGE).read_text("utf-8")
    assert f"<b>{figures['win_rate']:.1f}</b><span>win rate [{figures['low']:.1f}, {figures['high']:.1f}]" in text
    assert f"{figures['lc_win_rate']:.1f} [{figures['lc_low']:.1f}, {figures['lc_high']:.1f}]" in text
    assert f"<b>805</b><span>rows, {counts['not judged']} of them not judged" in text
    assert str(paths.judged(GENERATOR, BASELINE) / paths.PAGE) in said
    assert KEY not in text


@needs_paper
@needs_chromium
def test_all_rows_of_the_paper_can_be_browsed(judged: tuple[Path, Endpoint, str], tmp_path: Path) -> None:
    page = judged[0] / paths.PAGE
    entries = data(page)
    lost = [entry["id"] for entry in entries if entry["outcome"] == "lost"]
    copy = tmp_path / "index.html"
    copy.write_bytes(page.read_bytes())
    seen = visit(
        drive(
            copy,
            """
            const ids = () => [...document.querySelectorAll('.row b')].map((b) => b.textContent);
            const more = document.getElementById('more');
            while (!more.hidden) more.click();
            const all = ids(), found = document.getElementById('found').textContent;
            const menu = document.getElementById('outcome');
            menu.value = 'lost';
            menu.dispatchEvent(new Event('change'));
            while (!more.hidden) more.click();
            return JSON.stringify({ all: all.length, unique: new Set(all).size, found, lost: ids(),
              hash: location.hash, overflow: document.body.scrollWidth <= innerWidth });""",
        ),
        tmp_path,
    )
    assert (seen.console, seen.requests) == ([], [])
    state = json.loads(title(seen))
    assert (state["all"], state["unique"], state["found"]) == (805, 805, "805 of 805 rows")
    assert (state["lost"], state["hash"], state["overflow"]) == (lost, "#outcome=lost", True)


# --- models of the pipeline ------------------------------------------------------------------------------------------


@pytest.fixture
def settings(root: Path) -> config.Settings:
    items = "alpaca:\n  source: lab\n  languages: {}\n  items: {}"
    change = (items.format("[en, es, de, fr, ru, it, pt]", 250), items.format("[en, es]", 6))
    (root / "params.yaml").write_text(edited(change, ("  resamples:", "  resamples: 100")), "utf-8")
    return config.load()


def test_models_of_the_pipeline_in_both_orders(settings: config.Settings) -> None:
    keep_verdicts(settings, "m1", [f"own {text}" for text in HOSTILE])
    keep_verdicts(settings, "m2", ["right: 5", f"own {HOSTILE[1]}"])
    said = lidr("alpaca", "m2", "--against", "m1")
    folder = paths.judged("m2", "m1")
    assert said.splitlines()[-1] == f"The page: {folder / 'index.html'} · the verdicts: {folder / 'verdicts.jsonl'}"
    rows, entries = list(read_rows(folder / paths.VERDICTS, Verdict)), data(folder / paths.PAGE)
    assert len(rows) == len(entries) == 12
    assert all(len(row.orders) == 2 for row in rows if row.completion != row.baseline)
    assert {row.reasoning for row in rows} == {"m2 thinks"}
    for row, entry in zip(rows, entries, strict=True):
        assert entry["id"] == f"{row.id}:{row.lang}"
        assert [pane["text"] for pane in entry["panes"]] == [row.completion[:100_000], row.baseline[:100_000]]
    assert entries[0]["notes"][-1] == "m2: truncated"
    same = next(entry for entry, row in zip(entries, rows, strict=True) if row.completion == row.baseline)
    assert (same["chips"][0], same["outcome"]) == (["a tie: not put before the judge", ""], "tied")
    interval = average_interval(settings, rows)
    assert interval.n == 6
    text = (folder / paths.PAGE).read_text("utf-8")
    assert f"win rate [{interval.low:.1f}, {interval.high:.1f}], n = 6, average of 2 languages" in text


def test_a_failure_leaves_the_old_files_as_they_were(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_verdicts(settings, "m1", ["1"])
    keep_verdicts(settings, "m2", ["2"])
    lidr("alpaca", "m2", "--against", "m1")
    folder = paths.judged("m2", "m1")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["index.html", "metrics.json", "verdicts.jsonl"]
    keep_verdicts(settings, "m1", ["3"])

    def fail(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("lidr.compare.head_to_head.write_json", fail)
    done = CliRunner().invoke(main, ["alpaca", "m2", "--against", "m1"])
    assert (done.exit_code, done.output) == (1, "Error: no space left\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
