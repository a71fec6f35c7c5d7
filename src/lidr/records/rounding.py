"""Floats as outputs hold them: six decimals, since what DVC keeps must not depend on the last bits of a float.

>>> rounded({"es": {"accuracy": 2 / 3, "n": 3}})
{'es': {'accuracy': 0.666667, 'n': 3}}
"""

from __future__ import annotations

from typing import Any

import msgspec


def rounded(value: Any) -> Any:
    """The value with each float rounded: its own, a list's, a mapping's or a record's. A negative zero becomes 0.0."""
    if isinstance(value, float):
        return round(float(value), 6) + 0.0
    if isinstance(value, list | tuple):
        return type(value)(map(rounded, value))
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(
            value, **{name: rounded(getattr(value, name)) for name in value.__struct_fields__}
        )
    return value
