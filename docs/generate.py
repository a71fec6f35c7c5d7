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
from collections.abc import Mapping
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
    documents = {"docs/commands.md": commands_document(), "docs/params.md": params_document()}
    documents |= {name: filled(name, blocks) for name, blocks in made_blocks().items()}
    stale = [name for name, text in documents.items() if _read(name) != text]
    for name in stale:
        print(f"{name}: {'not up to date; run `python docs/generate.py`' if check else 'written'}")
        if not check:
            (ROOT / name).write_text(documents[name], "utf-8")
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


def made_blocks() -> dict[str, dict[str, str]]:
    """Of each document that is written by hand, the blocks that are not, by name, as far as their data are here."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import language
    import measuring
    import scale
    import tables

    report = ROOT / "reports" / "compare" / "report.md"  # the stage `compare` writes it
    return {
        "README.md": {"results": _result_tables(report.read_text("utf-8"))} if report.exists() else {},
        "docs/performance.md": tables.blocks(measuring.RESULTS),
        "docs/real-models.md": {"families": _families_table(measuring.RESULTS / "families.json")},
        "docs/scale.md": {"scale": scale.table()},
        "docs/language.md": language.tables(),
    }


def filled(name: str, blocks: Mapping[str, str]) -> str:
    """The document with these blocks; SystemExit where it has no place for one."""
    text = _read(name)
    for block, content in blocks.items():
        start, end = START.format(block), END.format(block)
        before, found, rest = text.partition(start)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            raise SystemExit(f"{name}: no line {end if found else start!r}")
        text = f"{before}{start}\n\n{content}\n\n{end}{after}"
    return text


def commands_document() -> str:
    """The help of every command, as `lidr COMMAND --help` prints it."""
    from lidr.cli import main as group

    parts = ["# Commands\n\nMade from the commands themselves by `python docs/generate.py`.\n"]
    return "\n".join(parts + _help(group, ["lidr"]))


def _families_table(results: Path) -> str:
    """What tests/training/families.py measured."""
    lines = ["| family | rows | loss, float32 | gradient, float32 | loss, bfloat16 | gradient, bfloat16 |"]
    lines.append("| --- | --- | --: | --: | --: | --: |")
    for family, by_dtype in json.loads(results.read_text("utf-8")).items():
        figures = [f"{by_dtype[dtype][what]:.0e}" for dtype in ("float32", "bfloat16") for what in ("loss", "gradient")]
        lines.append(f"| {family} | {by_dtype['float32']['rows']} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _result_tables(report: str) -> str:
    """The report's headline and, of each benchmark, its title and table of all models by language."""
    from lidr.compare.page import opening

    parts = [opening(report).partition("\n")[2].strip()]
    for section in report.split("\n## ")[1:]:
        opening = section.partition("\n### ")[0]
        if "\n| language |" in opening:
            lines = [line for line in opening.splitlines() if not line.startswith("![")]
            parts.append("**" + lines[0] + "**\n" + "\n".join(lines[1:]).rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts))


def params_document() -> str:
    """Every key of params.yaml with what it may be and its default, from the classes of lidr.config."""
    from lidr import config
    from lidr.config import blocks, engines, reading

    named = ", ".join(f"`{'.'.join(place)}`" for place in reading.NAMED_WITHIN)
    parts = [
        "# params.yaml\n\nMade from the configuration's classes by `python docs/generate.py`. A key without a default "
        "must be there, and so must what dvc.yaml names: all blocks but `tracking`, and "
        f"{named}. An unknown key is an error that names file and line.\n"
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
    return "\n".join(parts)


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


def _read(name: str) -> str:
    path = ROOT / name
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
