"""Rows drawn by a hash of their ids: the same ones whatever their order, the seed and the other rows.

>>> sorted(drawn(["p1", "p2", "p3"], 2))
['p2', 'p3']
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256


def rank(name: str) -> str:
    """What ids are sorted by for a draw."""
    return sha256(name.encode()).hexdigest()


def drawn(names: Iterable[str], count: int | None) -> set[str]:
    """So many of the ids; all where it is None, or where there are no more."""
    return set(sorted(names, key=rank)[:count])


def is_held_out(prompt_id: str, share: float) -> bool:
    """Whether the prompt is one of the share that is never trained on: its hash as a number in [0, 1) is below it."""
    digest = sha256(f"held out {prompt_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share
