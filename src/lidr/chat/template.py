"""A chat template with its arguments and its date fixed, so that it renders the same on every day and in every server.

The arguments (`base.template` in params.yaml) become variables at the template's beginning, and today's date becomes
`base.date`. Both are written into the template of models/m0. `vllm serve` and an exported model then render as training
did, without options.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from lidr.errors import InputError

# The variables that transformers itself passes to a template.
RESERVED = ("messages", "add_generation_prompt", "tools", "documents", "bos_token", "eos_token", "pad_token")
# Templates of Llama 3.2, GPT-OSS and Granite call this function of the renderer; see transformers' chat templates.
CLOCK = "strftime_now"
# Directives of strftime that depend on the date alone. Those of the time of day are given midnight.
_DIRECTIVES = ("-d", "-m", "d", "m", "Y", "y", "B", "b", "A", "a", "j", "F", "H", "I", "M", "S", "p")


def fixed_template(template: str, arguments: Mapping[str, Any], day: date) -> str:
    """The template with its arguments and date written into it; the text itself where there are none.

    Raises InputError for an argument that the template never reads, or that the renderer passes itself.
    """
    _check(template, arguments)
    lines = [f"{{%- set {name} = {_literal(value)} %}}\n" for name, value in sorted(arguments.items())]
    if CLOCK in template:
        lines.append(_clock(day))
    return "".join(lines) + template


def reads(template: str) -> set[str]:
    """Names of the variables that a template reads from its caller."""
    from jinja2 import meta
    from transformers.utils.chat_template_utils import _compile_jinja_template

    # transformers' own environment knows the tags that published templates use.
    environment = _compile_jinja_template(template).environment
    return meta.find_undeclared_variables(environment.parse(template)) - {*RESERVED, CLOCK, "raise_exception"}


def _check(template: str, arguments: Mapping[str, Any]) -> None:
    if not arguments:
        return
    known = reads(template)
    there = ", ".join(sorted(known)) or "it has none"
    for name in arguments:
        if name in RESERVED or name == CLOCK or not name.isidentifier():
            raise InputError(f"base.template: {name!r} is no argument that can be set; lidr passes it itself")
        if name not in known:
            raise InputError(f"base.template: the chat template never reads {name!r}; its arguments: {there}")


def _literal(value: Any) -> str:
    """The value as Jinja writes it: JSON, with Jinja's names of the constants."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(str(key))}: {_literal(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    # Jinja reads a surrogate pair, as JSON writes an emoji, as two characters.
    return json.dumps(value, ensure_ascii=False)


def _clock(day: date) -> str:
    """A macro that hides the renderer's clock: Jinja looks names up in the template first."""
    values = {f"%{directive}": day.strftime(f"%{directive}") for directive in _DIRECTIVES}
    replaced = " | ".join(f"replace({json.dumps(name)}, {json.dumps(value)})" for name, value in values.items())
    return f"{{%- macro {CLOCK}(format) -%}}{{{{ format | {replaced} }}}}{{%- endmacro %}}\n"
