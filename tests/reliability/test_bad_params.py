"""Invalid params.yaml through a real command: each key missing, of a wrong type, out of range, or next to an unknown
key; contradictions between keys; invalid YAML; tricks in names and paths.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from factories import ROOT
from refusal import refused
from ruamel.yaml import YAML

from lidr import config

COMMAND = ("prompts", "m1")
Keys = tuple[str, ...]


ACCEPTED: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "tests" / "params.yaml").read_text("utf-8"))


def leaves(block: dict[str, Any], above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    for key, value in block.items():
        if isinstance(value, dict):
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def blocks(block: dict[str, Any], above: Keys = ()) -> Iterator[Keys]:
    for key, value in block.items():
        if isinstance(value, dict):
            yield (*above, key)
            yield from blocks(value, (*above, key))


def save(changed: dict[str, Any]) -> None:
    """Write params.yaml as JSON, which is valid YAML except for NaN."""
    Path("params.yaml").write_text(json.dumps(changed, indent=1).replace("NaN", ".nan"), "utf-8")


def refused_with(keys: Keys, *value: Any) -> str:
    """The error line of a file with this value at the keys, or without the key if no value is given."""
    changed = deepcopy(ACCEPTED)
    block = reduce(dict.__getitem__, keys[:-1], changed)
    if value:
        block[keys[-1]] = value[0]
    else:
        del block[keys[-1]]
    save(changed)
    return refused(*COMMAND)


LEAVES = list(leaves(ACCEPTED))


def is_required(keys: Keys) -> bool:
    """Whether the key has no default."""
    kind: Any = config.Settings
    for key in keys[:-1]:
        kind = get_type_hints(kind)[key]
        if not isinstance(kind, type):
            return False  # one of several, or a mapping
    return any(field.name == keys[-1] and field.required for field in msgspec.structs.fields(kind))


REQUIRED = [keys for keys, _ in LEAVES if is_required(keys)]
BLOCKS = [keys for keys in blocks(ACCEPTED) if keys not in (("iterations",), ("data",))]
NUMBERS = [(keys, value) for keys, value in LEAVES if isinstance(value, int | float) and not isinstance(value, bool)]


def name(keys: object) -> str:
    return ".".join(keys) if isinstance(keys, tuple) else repr(keys)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("keys", REQUIRED, ids=name)
def test_missing_key(keys: Keys) -> None:
    assert refused_with(keys).endswith(f"{'.'.join(keys)}: this key is missing")


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("keys", [keys for keys, _ in LEAVES], ids=name)
def test_wrong_type(keys: Keys) -> None:
    line, place = refused_with(keys, {"a": "mapping"}), ".".join(keys)
    # If a block or null is expected, the error names the block's key.
    assert line.startswith("params.yaml:")
    assert f" {place}: Expected " in line or line.endswith(f" {place}.a: there is no such key")


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("keys", BLOCKS, ids=name)
def test_unknown_key(keys: Keys) -> None:
    # Blocks with a library's keys are checked by its class.
    reason = {"dpo": "DPOConfig has no such key", "lora": "LoraConfig has no such key"}.get(keys[-1] if keys else "")
    line = refused_with((*keys, "stranger"), 1)
    assert line.endswith(f"{'.'.join(keys)}.stranger: {reason or 'there is no such key'}")


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("value", [-1, float("nan"), 10**30], ids=["negative", "nan", "huge"])
@pytest.mark.parametrize("keys", [keys for keys, _ in NUMBERS], ids=name)
def test_number_out_of_range(keys: Keys, value: float) -> None:
    line = refused_with(keys, value)
    assert line.startswith("params.yaml:") and f" {'.'.join(keys)}: " in line


# All of them for one key, and one for each other key.
NO_NAMES = {"empty": "", "blank": " ", "NUL": "a\0b", "line": "a\nb", "escape": "\x1b[31m"}
NO_NAMES_AT = [("profile", value) for value in NO_NAMES.values()]
NO_NAMES_AT += [(keys, NO_NAMES["NUL"]) for keys in ("prompts.source", "mgsm.source", "alpaca.source", "base.model")]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("keys", "value"), NO_NAMES_AT)
def test_text_that_is_no_name(keys: str, value: str) -> None:
    line = refused_with(tuple(keys.split(".")), value)
    assert line.endswith(f"{keys}: text without control characters is expected")


@pytest.mark.usefixtures("root")
def test_texts_of_several_lines_are_no_names() -> None:
    changed = deepcopy(ACCEPTED)
    changed["harness"]["system_instruction"] = "Answer in one word.\nGive no reasons."
    changed["base"]["template"] = {"custom_system_prompt": "You are terse.\n"}
    save(changed)
    settings = config.load()
    assert settings.base.template == {"custom_system_prompt": "You are terse.\n"}


CODES = [
    "../es",
    "es/../de",
    "en.",
    "en./../../x",
    "es@x",
    "/es",
    "es\0",
    "",
    "es de",
    "e",
    "ｅｓ",
    "es-",
    "-es",
    "es_ES",
]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("key", "code"),
    [*(("languages", code) for code in CODES), ("mgsm.languages", CODES[0]), ("alpaca.languages", CODES[0])],
)
def test_language_that_would_be_a_path(key: str, code: str) -> None:
    assert f" {key}: " in refused_with(tuple(key.split(".")), ["es", code] if "." not in key else ["en", code])


# tests/test_config.py has the cases of a single wrong name or model.
ITERATIONS = {
    "circle of two": ({"m1": "m2", "m2": "m1"}, "iterations.m1.previous: a model before 'm1' is expected, not 'm2'"),
    "from the future": (
        {"m1": "m0", "m2": "m3", "m3": "m1"},
        "iterations.m2.previous: a model before 'm2' is expected",
    ),
    "NUL in a name": ({"m1\0": "m0"}, "models.1: the name of a model is expected"),
}


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("chain", "expected"), ITERATIONS.values(), ids=ITERATIONS.keys())
def test_chain_of_iterations(chain: dict[str, str], expected: str) -> None:
    changed = deepcopy(ACCEPTED)
    changed["iterations"] = {made: {"previous": previous, "data": "m1"} for made, previous in chain.items()}
    changed["models"] = ["m0", *chain]
    save(changed)
    line = refused(*COMMAND)
    assert line.startswith("params.yaml:") and expected in line


BROKEN = {
    "empty": (b"", "1: a mapping of the configuration's blocks is expected"),
    "only a comment": (b"# lab\n", "1: a mapping of the configuration's blocks is expected"),
    "list": (b"- a\n", "1: a mapping of the configuration's blocks is expected"),
    "bad UTF-8": (b"seed: \xff\n", " not UTF-8 at byte 6"),
    "UTF-16": ("seed: 1\n".encode("utf-16"), " not UTF-8 at byte 0"),
    "NUL": (b"seed: 1\0\n", "not valid YAML"),
    "unclosed": (b"seed: [1\n", "not valid YAML"),
    "two documents": (b"a: 1\n---\nb: 1\n", "not valid YAML"),
    "anchor that is nowhere": (b"a: *b\n", "not valid YAML"),
    "python tag": (b"a: !!python/object/apply:os.system ['touch x']\n", "not valid YAML"),
    "deep": (b"a: " + b"[" * 1_000, "not valid YAML"),
}


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("content", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_file_that_is_no_configuration(content: bytes, expected: str) -> None:
    Path("params.yaml").write_bytes(content)
    line = refused(*COMMAND)
    assert line.startswith("params.yaml:") and expected in line


MERGED = {
    "nothing but the merged keys": "translate: {<<: {max_new_tokens: high}}",
    "beside a key of its own": "translate: {<<: {max_new_tokens: high}, prompt_template: v1}",
}


@pytest.mark.parametrize("written", MERGED.values(), ids=MERGED.keys())
def test_a_merged_key_has_the_line_of_its_block(root: Path, written: str) -> None:
    lines = (root / "params.yaml").read_text("utf-8").splitlines()
    start = lines.index("translate:")
    end = next(number for number in range(start + 1, len(lines)) if not lines[number].startswith(" "))
    Path("params.yaml").write_text("\n".join([*lines[:start], written, *lines[end:]]) + "\n", "utf-8")
    expected = f"params.yaml:{start + 1}: translate.max_new_tokens: Expected `int`, got `str`"
    assert refused(*COMMAND) == expected


def test_aliases_that_multiply_end(root: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (root / "params.yaml").write_text("\n".join(lines) + "\n", "utf-8")
    assert refused(*COMMAND).startswith("params.yaml:")
