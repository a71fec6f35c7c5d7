"""Reads params.yaml, and says in one line what is wrong with it and where.

params.yaml:74: train.dpo.beta: Expected `float`, got `str`
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, reduce
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import msgspec

from lidr import paths
from lidr.config.contradictions import contradictions
from lidr.config.explanations import explain
from lidr.config.section import Place, Problem, Section
from lidr.config.settings import Settings
from lidr.errors import InputError

# What dvc.yaml names within blocks, and the blocks that it does not name.
NAMED_WITHIN: tuple[Place, ...] = (
    ("engine", "device"),
    ("pairs", "rule"),
    ("train", "lora"),
    ("baseline", "source"),
    ("compare", "confidence"),
)
NOT_NAMED = ("tracking",)


@cache
def settings_type() -> type[Settings]:
    """`Settings` with a field for the block of each benchmark."""
    # By name: benchmarks are a layer above the configuration, which needs their blocks here.
    benchmarks = import_module("lidr.evaluation.registry").benchmarks()
    fields = [(one.name, one.section, _default(one.section)) for one in benchmarks]
    about = {"__doc__": "The whole of params.yaml."}
    kind = msgspec.defstruct(
        "Settings", fields, bases=(Settings,), namespace=about, module="lidr.config", frozen=True, kw_only=True
    )
    assert issubclass(kind, Settings)
    return kind


def _default(section: type[Section]) -> Any:
    is_needed = any(field.required for field in msgspec.structs.fields(section))
    return msgspec.NODEFAULT if is_needed else section()


def named_in_dvc_yaml() -> list[Place]:
    """The keys that must be in the file although some have defaults: DVC stops at a stage whose key is not there."""
    return [*NAMED_WITHIN, *((name,) for name in settings_type().__struct_fields__ if name not in NOT_NAMED)]


def load(path: Path = paths.PARAMS) -> Settings:
    """Read and check a configuration; raises InputError with file, line and expectation."""
    document = _read_yaml(path, "safe")
    try:
        settings = msgspec.convert(document, settings_type())
    except msgspec.ValidationError as error:
        raise _input_error(path, explain(error, document, settings_type())) from error
    for problem in chain(_left_out(document, settings), contradictions(settings)):
        raise _input_error(path, problem)
    return settings


def _left_out(document: dict[str, Any], settings: Settings) -> Iterator[Problem]:
    """Keys that have their defaults for lidr, but are not there for DVC."""
    defaults = msgspec.to_builtins(settings)
    for place in named_in_dvc_yaml():
        *above, key = place
        if key not in reduce(lambda block, name: block.get(name, {}), above, document):
            default = reduce(lambda block, name: block[name], place, defaults)
            shown = "{}" if isinstance(default, dict) else default
            yield place, f"expected in the file, since dvc.yaml names it; its default is {shown}"


def _read_yaml(path: Path, kind: Literal["safe", "rt"]) -> Any:
    """The document as plain values (`safe`), or as nodes that know their lines (`rt`: slower)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        document = YAML(typ=kind, pure=True).load(path.read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such file; run lidr in the project's root", path) from error
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", path) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not valid YAML: {error.problem}", path, line) from error
    except YAMLError as error:
        raise InputError(f"not valid YAML: {error}", path) from error
    except RecursionError as error:
        raise InputError("not valid YAML: nested too deeply", path, 1) from error
    if not isinstance(document, dict):
        raise InputError("a mapping of the configuration's blocks is expected", path, 1)
    return document


def _input_error(path: Path, problem: Problem) -> InputError:
    where, reason = problem
    place = f"{'.'.join(where)}: " if where else ""
    return InputError(place + reason, path, _line_of_key(_read_yaml(path, "rt"), where))


def _line_of_key(document: Any, keys: Place) -> int | None:
    """The line, from 1, of the innermost of the keys that the document has."""
    line: int | None = None
    node: Any = document
    for key in keys:
        marks = getattr(node, "lc", None)  # ruamel's, of lists and mappings
        if marks is not None and isinstance(node, list):
            return int(marks.item(int(key))[0]) + 1
        # A merge key (`<<: *defaults`) brings keys without a line of their own.
        if marks is None or key not in node or key not in (marks.data or {}):
            break
        line = marks.key(key)[0] + 1
        node = node[key]
    return line
