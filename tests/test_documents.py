"""Documents that are made from code and results are up to date, and links between documents lead somewhere."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from factories import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def test_generated_documents_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_document_without_a_place_for_a_block_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate: Any = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    filled = generate["filled"]
    monkeypatch.setitem(filled.__globals__, "ROOT", tmp_path)
    start, end = "<!-- one: made by docs/generate.py -->", "<!-- end of one -->"
    (tmp_path / "a.md").write_text(f"a\n{start}\n\nold\n\n{end}\nb\n", "utf-8")
    assert filled("a.md", {"one": "new"}) == f"a\n{start}\n\nnew\n\n{end}\nb\n"
    with pytest.raises(SystemExit, match=r"a\.md: no line '<!-- two: made by"):
        filled("a.md", {"two": "new"})
    (tmp_path / "a.md").write_text(f"a\n{start}\n", "utf-8")
    with pytest.raises(SystemExit, match=r"a\.md: no line '<!-- end of one -->'"):
        filled("a.md", {"one": "new"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_of_the_project(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text("utf-8"))
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing
