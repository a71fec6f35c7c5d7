"""Contradictory files of an iteration give an error line that names the row; nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from audit_project import Made, settings, two_sided

from lidr import paths
from lidr.audit import stage as audit
from lidr.errors import InputError

PAIRS = "data/m1/pairs/pairs.jsonl"


@pytest.fixture
def project(folder: Path) -> Path:
    made = Made()
    for name in ("a", "b", "c"):
        made.prompt(name, {"en": f"Ask {name}?", "es": f"Pregunta {name}?"}, gold="1")
        two_sided(made, name, (f"One {name}.", f"Uno {name}."), (f"Una {name}.", f"Only {name}."))
    made.write(settings())
    return folder


def edit(path: str, change: Callable[[list[str]], list[str]]) -> None:
    lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    Path(path).write_text("".join(change(lines)), encoding="utf-8")


BREAKS: list[tuple[str, Callable[[list[str]], list[str]], str]] = [
    (PAIRS, lambda rows: rows[:-1], r"'c:en:es' has no rows"),
    (PAIRS, lambda rows: [*rows, rows[-1]], r"'c:en:es' has 2 rows"),
    (PAIRS, lambda rows: rows[2:] + rows[:2], r"pairs.jsonl:5: a row of 'a': .* in the order of the prompts"),
    (
        PAIRS,
        lambda rows: [*rows, rows[0].replace('"a"', '"z"')],
        r"pairs.jsonl:7: a row of 'z': there is no such prompt",
    ),
    (PAIRS, lambda rows: [rows[0].replace("Una a.", "Una b."), *rows[1:]], r"'a:es:en': its chosen text is not the"),
    (PAIRS, lambda rows: [rows[0].replace("Uno a.", "Uno b."), *rows[1:]], r"'a:es:en': its rejected text is not the"),
    (PAIRS, lambda rows: [rows[0].replace("Pregunta", "Otra"), *rows[1:]], r"its prompt is not the text of 'a'"),
    (PAIRS, lambda rows: [rows[0].replace('"a:es:en"', '"a:1"'), *rows[1:]], r"the id 'a:es:en' is expected"),
    (
        PAIRS,
        lambda rows: [rows[0].replace('"lang":"es"', '"lang":"fr"'), *rows[1:]],
        r"direction that params.yaml does",
    ),
    ("data/prompts/m1/es.jsonl", lambda rows: rows[:-1], r"es.jsonl: no prompt 'c' here"),
    ("data/prompts/m1/en.jsonl", lambda rows: rows[:-1], r"a row of 'c': there is no such prompt"),
    (
        "data/m1/responses/es.jsonl",
        lambda rows: rows[1:],
        r"no answer or translation that its rejected text comes from",
    ),
    ("data/m1/translations/en-es.jsonl", lambda rows: [*rows, "{}\n"], r"en-es.jsonl:4: not a translation record"),
]


@pytest.mark.parametrize(("path", "change", "message"), BREAKS)
def test_a_break_is_named(project: Path, path: str, change: Callable[[list[str]], list[str]], message: str) -> None:
    edit(path, change)
    with pytest.raises(InputError, match=message):
        audit.run(settings(), "m1")
    assert not (project / paths.audit("m1")).exists()


def test_an_iteration_without_any_pair_is_audited(folder: Path) -> None:
    made = Made()
    made.prompt("a", {"en": "Ask?", "es": "Pregunta?"})
    two_sided(made, "a", ("One.", "Uno."), ("Uno.", "One."))
    made.write(settings())
    report = audit.run(settings(), "m1")
    assert report.figures["counts"]["by_reason"] == {"identical": 2}
    assert "there are no pairs" in report.warnings
