"""Figures as the cells of the report's tables: shares with intervals, counts, percentages.

>>> interval({"accuracy": 0.92, "low": 0.86, "high": 0.95}, "")
'0.920 [0.860, 0.950]'
>>> percent(None)
'–'
"""

from __future__ import annotations

from typing import Any

NONE = "–"


def interval(row: dict[str, Any], name: str) -> str:
    """'0.92 [0.86, 0.95]', or a dash where it was not measured."""
    key, prefix = (name, f"{name}_") if name else ("accuracy", "")
    return f"{row[key]:.3f} [{row[prefix + 'low']:.3f}, {row[prefix + 'high']:.3f}]" if key in row else NONE


def spread(row: dict[str, Any]) -> str:
    return f"{row['median']:,} ({row['q1']:,} to {row['q3']:,})" if row["n"] else NONE


def count(value: int) -> str:
    return f"{value:,}"


def percent(share: float | None) -> str:
    return NONE if share is None else f"{share:.1%}"


def p_value(value: float | None) -> str:
    return NONE if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def change(before: float | None, now: float | None) -> str:
    return NONE if before is None or now is None else f"{now - before:+.4g}"


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
