"""The processes of this machine, as far as tests that make some ask for them."""

from __future__ import annotations

import os
from pathlib import Path


def children() -> set[int]:
    """Those that this process made and that have not ended; none where the system does not tell."""
    task = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return set(map(int, task.read_text().split())) if task.exists() else set()


def is_running(process: int) -> bool:
    """Whether it is there and more than what is left of one that has ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
