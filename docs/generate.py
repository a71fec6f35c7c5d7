"""Writes the documents that are made from the code and the results: docs/commands.md and docs/params.md, and the tables
of README.md, docs/language.md, docs/performance.md, docs/real-models.md and docs/scale.md.

python docs/generate.py           write them
python docs/generate.py --check   exit 1 where one is not up to date or a link leads nowhere, and name it
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from datetime import date
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click
import msgspec

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- {}: made by docs/generate.py -->", "<!-- end of {} -->"


def main(check: bool) -> int:
    """Write or check all documents; returns the exit code."""
    stale = []
    documents = {**commands_document(), **params_document(), **readme(), **performance()}
    documents |= {**real_models(), **scale_document(), **language_document()}
    for path, text in documents.items():
        if (path.read_text("utf-8") if path.exists() else "") != text:
            stale.append(path.relative_to(ROOT))
            if not check:
                path.write_text(text, "utf-8")
    for path in stale:
        print(f"{path}: {'not up to date; run `python docs/generate.py`' if check else 'written'}")
    dead = dead_links() if check else []
    for link in dead:
        print(link)
    return 1 if check and (stale or dead) else 0


def dead_links() -> list[str]:
    """Links of documents to files that are not there."""
    links = re.compile(r"\]\((?!https?:|#)([^)#]+)")
    return [
        f"{path.relative_to(ROOT)}: {target} is not there"
        for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
        for target in links.findall(path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]


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


def language_document() -> dict[Path, str]:
    """docs/language.md with the tables that docs/language.py makes, as far as it has their data here."""
    import language

    path = ROOT / "docs" / "language.md"
    text = path.read_text("utf-8")
    for name, content in language.tables().items():
        text = _replace(text, name, content)
    return {path: text}


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


def params_document() -> dict[Path, str]:
    """Every key of params.yaml with what it may be and its default, from the classes of lidr.config."""
    from lidr import config
    from lidr.config import blocks, engines

    parts = [
        "# params.yaml\n\nMade from the configuration's classes by `python docs/generate.py`. A key without a default "
        "must be there; an unknown key is an error that names file and line.\n"
    ]
    parts += _block("the whole file", config.Settings)
    for name, kind in get_type_hints(config.Settings).items():
        if isinstance(kind, type) and issubclass(kind, blocks.Section):
            parts += _block(f"`{name}`", kind)
    parts += _block("`data.m<t>`", blocks.Data)
    parts += _block("`iterations.m<t>`", blocks.Iteration)
    for kind in engines.KINDS:
        parts += _block(f"`engine`, `name: {kind.__struct_config__.tag}`", kind)
    for name in ("fields", "hub"):
        parts += _block(f"`prompts.{name}`", _section(get_type_hints(blocks.Prompts)[name]))
    parts += _block("`translate.model`, a server", blocks.TranslationServer)
    for kind in get_args(config.Judge):
        parts += _block(f"`alpaca.judge`, `name: {kind.__struct_config__.tag}`", kind)
    return {ROOT / "docs" / "params.md": "\n".join(parts)}


def _block(title: str, kind: type) -> list[str]:
    """A heading, the class's own description and a table of its keys."""
    hints = get_type_hints(kind, include_extras=True)
    lines = [
        f"## {title}\n",
        inspect.cleandoc(kind.__doc__ or "") + "\n",
        "| key | may be | default |",
        "|---|---|---|",
    ]
    for field in msgspec.structs.fields(kind):
        is_block = isinstance(hints[field.name], type) and issubclass(hints[field.name], msgspec.Struct)
        default = "" if field.required or is_block else f"`{_shown(field)}`"
        lines.append(f"| `{field.encode_name}` | {_may_be(hints[field.name])} | {default} |")
    return [*lines, ""]


def _section(kind: Any) -> type:
    return next(one for one in get_args(kind) if one is not NoneType)


def _shown(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return json.dumps(field.default_factory())
    if field.default is msgspec.UNSET:
        return "not set"
    return json.dumps(field.default) if isinstance(field.default, str | int | float | None) else str(field.default)


def _may_be(kind: Any) -> str:
    """A type in the words of a YAML file."""
    if get_origin(kind) is Annotated:
        inner, *rules = get_args(kind)
        bounds = [f"{sign} {value:g}" for rule in rules for sign, value in _bounds(rule)]
        return _may_be(inner) + (f" ({', '.join(bounds)})" if bounds else "")
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(dict.fromkeys(_may_be(one) for one in get_args(kind) if one is not msgspec.UnsetType))
    if get_origin(kind) is tuple:
        return f"a list of: {_may_be(get_args(kind)[0])}"
    if get_origin(kind) is dict or kind is dict:
        return "a mapping"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "a block (below)"
    names = {
        NoneType: "null",
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true, false",
        date: "a date",
    }
    return names.get(kind, str(kind))


def _bounds(rule: Any) -> list[tuple[str, float]]:
    named = ((">=", rule.ge), (">", rule.gt), ("<=", rule.le), ("<", rule.lt))
    return [(sign, value) for sign, value in named if value is not None and abs(value) < 1e9]


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
