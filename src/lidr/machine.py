"""The cores and the memory that this process may use: those of the machine, or fewer in a container or a batch job.

Linux limits both by control groups (cgroup v2), of which neither `os` nor psutil knows: by the process's own group and
by all above it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def cores() -> int:
    """The number of cores; a part of one counts as one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # "150000 100000" is the computing time in each period, both in microseconds.
    quotas = (math.ceil(int(quota) / int(period)) for quota, period in map(str.split, _limits("cpu.max")))
    return min([allowed, *quotas])


def memory() -> int:
    """The bytes of memory."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *map(int, _limits("memory.max"))])


def _limits(name: str) -> Iterator[str]:
    """What the files of this name say, from the process's own group upwards, without `max`, which is no limit."""
    lines = OWN_GROUP.read_text("utf-8").splitlines() if OWN_GROUP.exists() else []
    group = GROUPS / next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    while group.is_relative_to(GROUPS):
        file = group / name
        text = file.read_text("utf-8").strip() if file.exists() else "max"
        if not text.startswith("max"):
            yield text
        group = group.parent
