"""The examples in docstrings run as tests."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest
from factories import ROOT

SOURCE = ROOT / "src"
# Files and folders whose examples are not run yet.
NOT_YET = (
    "lidr/evaluation/mgsm",
    "lidr/pairs/refusals.py",
    "lidr/records/code_switching.py",
    "lidr/records/langid.py",
    "lidr/records/repetition.py",
)
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>>" in path.read_text("utf-8") and not path.relative_to(SOURCE).as_posix().startswith(NOT_YET)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    found = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed
