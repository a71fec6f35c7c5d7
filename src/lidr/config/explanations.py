"""msgspec's errors in the words of params.yaml: which key, and what was expected there.

(('train', 'beta'), "'high' is no number")
"""

from __future__ import annotations

import re
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from lidr.config.blocks import MODEL_NAME, Iteration, Place, Problem, Section, Settings


def explain(error: msgspec.ValidationError, document: Any, kind: type[Section] = Settings) -> Problem:
    """Where in the document a value is not as `kind` says, and msgspec's reason in the words of a YAML file."""
    reason, _, place = str(error).partition(" - at `")
    *_, inner = place.rstrip("`").rpartition("`")
    where = tuple(re.findall(r"\w+|\.\.\.", inner))
    if place.startswith("key` in "):
        if where == ("iterations",):
            return (*where, _bad_name(document)), "iterations are named m1, m2, ..."
        return where, "models are named m0, m1, ..." if "regex" in reason else "keys are expected to be text"
    if "..." in where and where[0] == "iterations":
        where = ("iterations", _bad_iteration(document), *where[2:])
    where = tuple(key for key in where if key != "...")  # of another mapping, msgspec does not tell which key
    if found := re.fullmatch(r"Object contains unknown field `(.+)`", reason):
        return (*where, found[1]), "there is no such key"
    if found := re.fullmatch(r"Object missing required field `(.+)`", reason):
        return (*where, found[1]), "this key is missing"
    if found := re.fullmatch(r"Invalid enum value (.+)", reason):
        return where, f"{found[1]} is none of {', '.join(_choices(kind, where))}"
    if "matching regex" in reason:
        return where, "the name of a model is expected: m0, m1, m2, ..."
    return where, reason.replace("`object`", "a mapping").replace("`array`", "a list")


def _bad_name(document: Any) -> str:
    """The first key of `iterations` that cannot be the name of one."""
    return next(str(key) for key in document["iterations"] if not re.search(MODEL_NAME, str(key)))


def _bad_iteration(document: Any) -> str:
    """The first iteration whose block is not as it should be; msgspec does not tell which."""
    for name, block in document["iterations"].items():
        try:
            msgspec.convert(block, Iteration)
        except msgspec.ValidationError:
            return str(name)
    raise AssertionError("all iterations are as they should be")


def _choices(kind: Any, where: Place) -> tuple[str, ...]:
    *blocks, name = where
    for key in blocks:
        kind = _without_null(get_type_hints(kind)[key])
    kind = get_type_hints(kind)[name]
    alternatives = get_args(kind) if NoneType in get_args(kind) else (kind,)
    return tuple(choice for one in alternatives if get_origin(one) is Literal for choice in get_args(one))


def _without_null(kind: Any) -> Any:
    """X of `X | None`, and any other kind as it is."""
    return get_args(kind)[0] if NoneType in get_args(kind) else kind
