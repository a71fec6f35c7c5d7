"""Processes that tests start."""

from __future__ import annotations

import os
from pathlib import Path


def children() -> set[int]:
    """The running children of this process; none if the system does not tell."""
    task = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return set(map(int, task.read_text().split())) if task.exists() else set()


def is_running(process: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
