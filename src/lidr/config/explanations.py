"""msgspec's errors in the words of params.yaml: which key, and what was expected there.

(('train', 'beta'), "'high' is no number")
"""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from lidr.config.blocks import Data, Iteration
from lidr.config.section import DATA_NAME, MODEL_NAME, Place, Problem


class _Names(NamedTuple):
    """A mapping whose keys are names: their pattern, the class of its blocks, and what is said of a wrong name."""

    pattern: str
    block: type[msgspec.Struct]
    expected: str


_NAMED = {
    "iterations": _Names(MODEL_NAME, Iteration, "iterations are named m1, m2, ..."),
    "data": _Names(DATA_NAME, Data, "data are named m1, m2, ..., or with a word behind: m1-sampled"),
}


def explain(error: msgspec.ValidationError, document: Any, kind: type[msgspec.Struct]) -> Problem:
    """Where in the document a value is not as `kind` says, and msgspec's reason in the words of a YAML file."""
    reason, _, place = str(error).partition(" - at `")
    *_, inner = place.rstrip("`").rpartition("`")
    where = tuple(re.findall(r"\w+|\.\.\.", inner))
    if place.startswith("key` in "):
        if len(where) == 1 and where[0] in _NAMED:
            return (*where, _bad_name(document, where[0])), _NAMED[where[0]].expected
        return where, "models are named m0, m1, ..." if "regex" in reason else "keys are expected to be text"
    if "..." in where and where[0] in _NAMED:
        where = (where[0], _bad_block(document, where[0]), *where[2:])
    where = tuple(key for key in where if key != "...")  # of another mapping, msgspec does not tell which key
    if found := re.fullmatch(r"Object contains unknown field `(.+)`", reason):
        return (*where, found[1]), "there is no such key"
    if found := re.fullmatch(r"Object missing required field `(.+)`", reason):
        return (*where, found[1]), "this key is missing"
    if found := re.fullmatch(r"Invalid enum value (.+)", reason):
        return where, f"{found[1]} is none of {', '.join(_choices(kind, where))}"
    if found := re.fullmatch(r"Invalid value (.+)", reason):  # of the tag of a union
        return where, f"{found[1]} is none of {', '.join(_tags(kind, where))}"
    if "matching regex" in reason:
        examples = "data is expected: m1, m2, ..." if where[-1] == "data" else "a model is expected: m0, m1, m2, ..."
        return where, f"the name of {examples}"
    return where, reason.replace("`object`", "a mapping").replace("`array`", "a list")


def _bad_name(document: Any, mapping: str) -> str:
    """The first key of `mapping` that cannot be a name there."""
    return next(str(key) for key in document[mapping] if not re.search(_NAMED[mapping].pattern, str(key)))


def _bad_block(document: Any, mapping: str) -> str:
    """The first block of `mapping` that is not as it should be; msgspec does not tell which."""
    for name, block in document[mapping].items():
        try:
            msgspec.convert(block, _NAMED[mapping].block)
        except msgspec.ValidationError:
            return str(name)
    raise AssertionError("all blocks are as they should be")


def _choices(kind: Any, where: Place) -> tuple[str, ...]:
    """The words that the literal at this place may be."""
    kinds = _kinds_at(kind, where)
    return tuple(dict.fromkeys(choice for one in kinds if get_origin(one) is Literal for choice in get_args(one)))


def _tags(kind: Any, where: Place) -> tuple[str, ...]:
    """The tags that the union may have whose tag stands at this place."""
    return tuple(str(one.__struct_config__.tag) for one in _kinds_at(kind, where[:-1]))


def _kinds_at(kind: Any, where: Place) -> list[Any]:
    """What may stand at this place of a document of this kind, by all alternatives on the way."""
    kinds = [kind]
    for key in where:
        if key.isdigit():
            kinds = [get_args(one)[0] for one in kinds if get_origin(one) is tuple]
            continue
        hints = [get_type_hints(one) for one in kinds if isinstance(one, type)]
        kinds = [one for found in hints if key in found for one in _alternatives(found[key])]
    return kinds


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """The members of a union but for null; any other kind alone."""
    is_union = get_origin(kind) in (Union, UnionType)
    return tuple(one for one in get_args(kind) if one is not NoneType) if is_union else (kind,)
