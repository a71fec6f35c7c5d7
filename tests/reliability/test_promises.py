"""docs/reliability.md and SECURITY.md name tests that exist."""

from __future__ import annotations

import re

import pytest
from factories import ROOT

DEFINED = {
    name
    for path in (ROOT / "tests").rglob("*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.M)
}


@pytest.mark.parametrize("document", ["docs/reliability.md", "SECURITY.md"])
def test_the_tests_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 10
    assert named - DEFINED == set()
    files = set(re.findall(r"tests/[\w/]+\.py", text))
    assert [name for name in files if not (ROOT / name).is_file()] == []
