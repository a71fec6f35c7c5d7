"""A comparison as a table for the terminal: places by models, benchmarks side by side.

>>> print(table(comparison))
          MGSM accuracy, %              AlpacaEval win rate against m0, %
              m0       m1       m2          m0       m1       m2
en          91.7     91.7     91.7        50.0     50.0     54.2
"""

from __future__ import annotations

from collections.abc import Sequence

from lidr.compare.comparison import Comparison, Results
from lidr.compare.report import marks, measure, number, table_rows, what_marks_mean


def table(comparison: Comparison) -> str:
    """Places by models of all benchmarks, with marks, for the terminal."""
    blocks: dict[str, list[Results]] = {}
    for results in comparison.results:
        blocks.setdefault(results.benchmark.by, []).append(results)
    lines = [line for side_by_side in blocks.values() for line in [*_block(comparison, side_by_side), ""]]
    level = f"p < {comparison.alpha:g}; of {' and '.join(f'{by}s' for by in blocks)}: adjusted by Holm"
    return "\n".join([*lines[:-1], f"{what_marks_mean(comparison)} ({level})"])


def _block(comparison: Comparison, side_by_side: Sequence[Results]) -> list[str]:
    """Benchmarks side by side that have the same kind of rows."""
    rows = list(dict.fromkeys(place for results in side_by_side for place in table_rows(results)))
    width = max(len(row) for row in rows) + 2
    head, under = " " * width, " " * width
    lines = [row.ljust(width) for row in rows]
    for results in side_by_side:
        title = f"{results.benchmark.title} {measure(comparison, results)}, %"
        cells = {model: [_cell(comparison, results, model, row) for row in rows] for model in comparison.models}
        columns = sum(9 for _ in cells)
        block = max(columns, len(title)) + 3
        head += title.ljust(block)
        under += "".join(f"{model:>6}   " for model in cells).ljust(block)
        lines = [line + "".join(column[i] for column in cells.values()).ljust(block) for i, line in enumerate(lines)]
    return [line.rstrip() for line in [head, under, *lines]]


def _cell(comparison: Comparison, results: Results, model: str, place: str) -> str:
    if place not in results.figures[model]:
        return " " * 9
    figures = results.figures[model][place]
    return f"{number(results.points(figures.level.estimate)):>6}{marks(comparison, model, figures):<3}"
