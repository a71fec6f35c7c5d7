r"""The report as Markdown, for reading in git.

# Audit of m1

**Go on: counting each prompt once, the chosen side is better for 241 prompts and worse for 12.**

- Warning: drops bias the pairs towards short answers: ...

## The reward signal
"""

from __future__ import annotations

import re

from lidr.audit.report import Report
from lidr.audit.sections import Section, Table, build

_SPECIAL = re.compile(r"([\\`*_\[\]<>|&])")


def markdown(report: Report) -> str:
    """The whole report."""
    lines = [f"# Audit of {report.iteration}", "", f"**{_escaped(report.recommendation)}**", ""]
    lines += [f"- Warning: {_escaped(warning)}" for warning in report.warnings] + [""] * bool(report.warnings)
    for section in build(report):
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section) -> list[str]:
    lines = [f"## {section.title}", "", _escaped(section.text), ""]
    if section.plot:
        lines += [f"![{section.title}]({section.plot}.svg)", ""]
    for table in section.tables:
        lines += [*_table(table), ""]
    return lines


def _table(table: Table) -> list[str]:
    rows = [table.heading, tuple("---" if i == 0 else "---:" for i in range(len(table.heading))), *table.rows]
    return [
        "| " + " | ".join(cell if number == 1 else _escaped(cell) for cell in row) + " |"
        for number, row in enumerate(rows)
    ]


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
