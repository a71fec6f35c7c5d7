"""Progress: a bar in a terminal, a line every ten seconds in a log.

with bar("answers es", total=300, unit="row") as advance:
    advance(64)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(description: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that reports newly finished units."""
    from tqdm import tqdm

    in_terminal = sys.stderr.isatty()
    with tqdm(
        total=total,
        desc=description,
        unit=unit,
        leave=in_terminal,
        mininterval=0.2 if in_terminal else 10.0,
        # In a log, carriage returns would put all updates on one line.
        bar_format=None if in_terminal else "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]\n",
        file=sys.stderr,
        delay=0 if in_terminal else 5.0,
    ) as progress:

        def advance(count: int) -> None:
            progress.update(count)

        yield advance
