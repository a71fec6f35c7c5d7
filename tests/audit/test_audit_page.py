"""The audit's page in a real browser: no errors, no requests, escaped texts, a working search, reproducible bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_project import Made, in_lab, settings, two_sided
from chromium import HOSTILE, drive, needs_chromium, title, visit

from lidr import config, paths
from lidr.audit import stage as audit
from lidr.audit.report import Report
from lidr.pages import browsable, render


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    """Twenty audited lab prompts; their project is the working folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        in_lab(settings(), 20).write(settings())
        yield audit.run(settings(), "m1")


def hostile() -> Made:
    made = Made()
    for number, text in enumerate(HOSTILE):
        name = f"{number}</script><b>"
        made.prompt(name, {"en": f"{text} en", "es": f"{text} es"}, gold="<i>1</i>")
        two_sided(made, name, (f"{text} 1", f"{text} 2"), (f"{text} 3", None if number == 0 else f"{text} 4"))
    return made


def test_data_cannot_end_their_script() -> None:
    text = "</script><!--&"
    row = {"id": text, "prompts": [], "panes": [{"text": "x" * 100_001}]}
    page = render("base.html", profile="lab", browse=browsable([row], "rows", {"a": text}))
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found and not re.search("[<>&]", found[1])
    assert json.loads(found[1]) == {
        "unit": "rows",
        "labels": {"a": text},
        "rows": [row | {"panes": [{"text": "x" * 100_000, "cut": 1}]}],
    }


def test_the_page_names_no_address_and_forbids_them(report: Report) -> None:
    text = (paths.audit("m1") / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href|url|action)\s*[=(]\s*["']?(?:https?:)?//""", text)
    assert "default-src 'none'" in text


@needs_chromium
def test_hostile_texts_stay_texts(folder: Path) -> None:
    # The search for loops in the stage `pairs` takes quadratic time on such lines.
    chosen = settings(pairs=config.Pairs(filters=("identical",)))
    hostile().write(chosen)
    audit.run(chosen, "m1")
    page = paths.audit("m1") / "index.html"
    seen = visit(
        drive(
            page,
            """
            const texts = [...document.querySelectorAll('.text')];
            const long = texts.filter((t) => t.textContent.startsWith('xxx'));
            const folded = long[0].textContent.length;
            long[0].parentElement.querySelector('button').click();
            return JSON.stringify({
              scripts: document.scripts.length,
              images: document.querySelectorAll('#rows img, #rows b b, #rows i').length,
              alert: texts.some((t) =>
                t.textContent.includes('<script>alert(1)<' + '/script><img src=x onerror=alert(2)>')),
              code: [...document.querySelectorAll('.code')].map((c) => c.textContent).slice(0, 8),
              folded, unfolded: long[0].textContent.length, overflow: document.body.scrollWidth <= innerWidth,
              braces: document.body.innerText.includes('{{ 7 * 7 }}'),
            });""",
        ),
        folder,
    )
    assert seen.console == []
    assert seen.requests == []
    state = json.loads(title(seen))
    assert {"U+202E", "U+2066", "U+200F", "U+0000", "U+001B", "U+2028"} <= set(state["code"])
    assert (state["alert"], state["images"], state["overflow"], state["braces"]) == (True, 0, True, True)
    assert state["scripts"] == 3, "the data, the page's script and this test's"
    assert state["folded"] < 1_000
    assert state["unfolded"] >= 100_000


@needs_chromium
def test_the_plots_keep_their_style_within_the_page_and_tell_their_figures(report: Report, tmp_path: Path) -> None:
    page = Path(shutil.copy(paths.audit("m1") / "index.html", tmp_path))
    seen = visit(
        drive(
            page,
            """
            const told = document.querySelectorAll('svg g > title').length;
            const look = (selector) => getComputedStyle(document.querySelector(selector));
            const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
            return JSON.stringify({
              plots: document.querySelectorAll('.drawing > svg[role=img][aria-label]').length,
              told: told > 20, ground: look('svg path').fill, page: look('p').fill,
              twice: ids.length - new Set(ids).size, images: document.images.length,
              overflow: document.body.scrollWidth <= innerWidth,
            });""",
        ),
        tmp_path,
    )
    assert (seen.console, seen.requests) == ([], [])
    assert json.loads(title(seen)) == {
        "plots": 5, "told": True, "ground": "rgb(255, 255, 255)", "page": "rgb(0, 0, 0)",
        "twice": 0, "images": 0, "overflow": True,
    }  # fmt: skip


@needs_chromium
def test_the_search_finds_by_id_language_and_reason(folder: Path) -> None:
    chosen = settings(("es", "de"))
    in_lab(chosen, 40).write(chosen)
    report = audit.run(chosen, "m1")
    drop = next(entry for entry in report.drops if entry["reason"] == "truncated")
    seen = visit(
        drive(
            paths.audit("m1") / "index.html",
            f"""
            const ids = () => [...document.querySelectorAll('.row b')].map((b) => b.textContent);
            const set = (id, value, event) => {{
              const field = document.getElementById(id);
              field.value = value;
              field.dispatchEvent(new Event(event));
            }};
            const all = ids().length;
            document.getElementById('more').click();
            const more = ids().length;
            set('q', {json.dumps(drop["id"])}, 'input');
            const byId = ids();
            set('q', 'no such id anywhere', 'input');
            const none = ids().length;
            set('q', '', 'input'); set('lang', 'de', 'change'); set('reason', 'truncated', 'change');
            return JSON.stringify({{ all, more, byId, none, byReason: ids(), hash: location.hash }});""",
        ),
        folder,
    )
    assert (seen.console, seen.requests) == ([], [])
    state = json.loads(title(seen))
    assert (state["all"], state["more"], state["none"]) == (20, 40, 0)
    assert state["byId"] == [drop["id"]]
    truncated = [e["id"] for e in report.drops if e["reason"] == "truncated" and e["lang"] == "de"]
    assert state["byReason"] == truncated[:20]
    assert state["hash"] == "#lang=de&reason=truncated"


@needs_chromium
def test_a_search_can_be_linked(report: Report, tmp_path: Path) -> None:
    wanted = report.pairs[3]["id"]
    seen = visit(paths.audit("m1") / "index.html", tmp_path, f"#q={wanted}&kind=pair")
    assert re.findall(r"<header><b>(.*?)</b>", seen.dom) == [wanted]


@needs_chromium
def test_the_browser_test_sees_errors_and_requests(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text('<img src="http://127.0.0.1:9/x.png"><script>console.error("boo")</script>', encoding="utf-8")
    seen = visit(page, tmp_path)
    assert "boo" in seen.console[0]
    assert seen.requests == ["http://127.0.0.1:9/x.png"]


def test_the_same_data_give_the_same_bytes_in_any_process(report: Report) -> None:
    here = {file.name: file.read_bytes() for file in paths.audit("m1").iterdir()}
    code = "from audit_project import settings; from lidr.audit import stage; stage.run(settings(), 'm1')"
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    there = {file.name: file.read_bytes() for file in paths.audit("m1").iterdir()}
    assert here.keys() == there.keys()
    for name, content in here.items():
        assert content == there[name], name
