"""Writes the documents that are made from the code and the results: docs/commands.md, and the tables of README.md,
docs/reliability.md, docs/performance.md, docs/real-models.md and docs/scale.md.

python docs/generate.py           write them
python docs/generate.py --check   exit 1 where one is not up to date, and name it
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
CHAOS = ROOT / "benchmarks" / "results" / "chaos"
START, END = "<!-- {}: made by docs/generate.py -->", "<!-- end of {} -->"


def main(check: bool) -> int:
    """Write or check all documents; returns the exit code."""
    stale = []
    documents = {**commands_document(), **readme(), **reliability(), **performance()}
    documents |= {**real_models(), **scale_document()}
    for path, text in documents.items():
        if (path.read_text("utf-8") if path.exists() else "") != text:
            stale.append(path.relative_to(ROOT))
            if not check:
                path.write_text(text, "utf-8")
    for path in stale:
        print(f"{path}: {'not up to date; run `python docs/generate.py`' if check else 'written'}")
    return 1 if check and stale else 0


def commands_document() -> dict[Path, str]:
    """The help of every command, as `lidr COMMAND --help` prints it."""
    from lidr.cli import main as group

    parts = ["# Commands\n\nMade from the commands themselves by `python docs/generate.py`.\n"]
    parts += _help(group, ["lidr"])
    return {ROOT / "docs" / "commands.md": "\n".join(parts)}


def readme() -> dict[Path, str]:
    """The README with the result tables of reports/compare/report.md, which the stage `compare` writes."""
    path, report = ROOT / "README.md", ROOT / "reports" / "compare" / "report.md"
    text = path.read_text("utf-8")
    if report.exists():
        text = _replace(text, "results", _result_tables(report.read_text("utf-8")))
    return {path: text}


def performance() -> dict[Path, str]:
    """docs/performance.md with the tables that the benchmarks' results make."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import measuring
    import tables

    path = ROOT / "docs" / "performance.md"
    text = path.read_text("utf-8")
    for name, content in tables.blocks(measuring.RESULTS).items():
        text = _replace(text, name, content)
    return {path: text}


def real_models() -> dict[Path, str]:
    """docs/real-models.md with the table of tests/training/families.py."""
    path, dtypes = ROOT / "docs" / "real-models.md", ("float32", "bfloat16")
    found = json.loads((ROOT / "benchmarks" / "results" / "families.json").read_text("utf-8"))
    lines = ["| family | rows | loss, float32 | gradient, float32 | loss, bfloat16 | gradient, bfloat16 |"]
    lines.append("| --- | --- | --: | --: | --: | --: |")
    for family, by_dtype in found.items():
        figures = [f"{by_dtype[dtype][what]:.0e}" for dtype in dtypes for what in ("loss", "gradient")]
        lines.append(f"| {family} | {by_dtype['float32']['rows']} | {' | '.join(figures)} |")
    return {path: _replace(path.read_text("utf-8"), "families", "\n".join(lines))}


def scale_document() -> dict[Path, str]:
    """docs/scale.md with the table that docs/scale.py computes."""
    import scale

    path = ROOT / "docs" / "scale.md"
    return {path: _replace(path.read_text("utf-8"), "scale", scale.table())}


def _result_tables(report: str) -> str:
    """The report's headline and, of each benchmark, its title and table of all models by language."""
    headline, *sections = report.split("\n## ")
    parts = [headline.partition("\n")[2].strip()]
    for section in sections:
        opening = section.partition("\n### ")[0]
        if "\n| language |" in opening:
            lines = [line for line in opening.splitlines() if not line.startswith("![")]
            parts.append("**" + lines[0] + "**\n" + "\n".join(lines[1:]).rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts))


def reliability() -> dict[Path, str]:
    """docs/reliability.md with what the last `make chaos` counted, where one has run."""
    path, results = ROOT / "docs" / "reliability.md", results_of_chaos()
    text = path.read_text("utf-8")
    return {path: _replace(text, "counts", counts_of_chaos(results)) if results else text}


def results_of_chaos() -> dict[str, Any]:
    """What the parts of the suite told, as one; empty where none has run."""
    parts = [json.loads(path.read_text("utf-8")) for path in sorted(CHAOS.glob("*.json"))]
    whole: dict[str, Any] = {}
    for part in parts:
        whole["kills"] = whole.get("kills", []) + part["kills"]
        whole["soak"] = whole.get("soak") or part["soak"]
        for name in ("inputs", "faults", "examples", "lost"):
            whole[name] = dict(sorted((Counter(whole.get(name, {})) + Counter(part[name])).items()))
    return whole


def counts_of_chaos(results: dict[str, Any]) -> str:
    """Kills, inputs, faults, examples and iterations, with what was lost of each kind; then the kills by stage."""
    kills, soak = results["kills"], results["soak"]
    signals = ", ".join(f"{n} {name}" for name, n in sorted(Counter(kill["signal"] for kill in kills).items()))
    rows = [("kills", "kills of `dvc repro`", signals, len(kills))]
    rows += [("inputs", "bad input", name.removeprefix("test_bad_"), n) for name, n in results["inputs"].items()]
    rows += [("faults", "faults", room, n) for room, n in results["faults"].items()]
    examples = results["examples"].items()
    rows += [("fuzz", "fuzzing", name.removeprefix("test_").replace("_", " "), n) for name, n in examples]
    if soak:
        interval = f"[{soak['growth_low_mib']:+.1f}, {soak['growth_high_mib']:+.1f}]"
        growth = f"memory {soak['growth_mib']:+.1f} MiB {interval} over all"
        rows.append(("soak", "iterations in one process", growth, soak["iterations"]))
    lines = ["| what | of which kind | cases | not as promised |", "|---|---|---:|---:|"]
    for number, (key, what, kind, cases) in enumerate(rows):
        # Failures are counted for all of a kind, and said beside the first.
        is_first = number == 0 or rows[number - 1][0] != key
        lines.append(f"| {what} | {kind} | {cases:,} | {results['lost'].get(key, 0) if is_first else ''} |")
    by_stage = Counter(kill["landed"].partition("@")[0] for kill in kills)
    where = " · ".join(f"{stage} {n}" for stage, n in sorted(by_stage.items()))
    taken_up = sum(kill["taken_up"] for kill in kills)
    return "\n".join(
        [*lines, "", f"Where the kills came: {where}.", f"Shards that were done by then and taken up: {taken_up}."]
    )


def _help(command: click.Command, names: list[str]) -> list[str]:
    context = click.Context(command, info_name=" ".join(names), max_content_width=100, terminal_width=100)
    parts = [f"## {' '.join(names)}\n\n```\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            parts += _help(command.commands[name], [*names, name])
    return parts


def _replace(text: str, block: str, content: str) -> str:
    start, end = START.format(block), END.format(block)
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n\n{content}\n\n{end}{after}" if rest else text


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
