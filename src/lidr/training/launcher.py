"""Stage `train` on several processes: `accelerate launch`, whose processes run `python -m lidr.training.stage`.

    train: {..., accelerate: profiles/accelerate/cpu.yaml}

    $ lidr train m1
    accelerate launch --config_file profiles/accelerate/cpu.yaml --num_processes 2 -m lidr.training.stage m1 .lidr/...

The processes share a folder: metrics.jsonl has what the first of them logs, `done.json` what the stage returns and
`error` why it failed, in one line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import msgspec

from lidr.errors import LidrError, one_line
from lidr.training.history import LogMetrics

METRICS, DONE, ERROR = "metrics.jsonl", "done.json", "error"
# Seconds between two reads of the processes' log.
PATIENCE = 0.5
# Processes on one machine communicate over the loopback interface only.
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}


def launch(module: str, iteration: str, settings: Path, processes: int, folder: Path, log: LogMetrics) -> bytes:
    """Run the module in `processes` as accelerate's `settings` say; returns what `finish` wrote.

    `log` gets the metrics live. Raises LidrError where a process fails.
    """
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(settings)]
    command += ["--num_processes", str(processes)]
    command += ["-m", module, iteration, str(folder)]
    metrics = folder / METRICS
    metrics.touch()
    with metrics.open(encoding="utf-8") as lines, subprocess.Popen(command, env=_LOOPBACK | os.environ) as launched:
        try:
            while launched.poll() is None:
                time.sleep(PATIENCE)
                _pass_on(lines, log)
        except BaseException:
            # accelerate ends its processes when it is terminated.
            launched.terminate()
            raise
        _pass_on(lines, log)
    if launched.returncode:
        reason = folder / ERROR
        said = reason.read_text("utf-8") if reason.exists() else f"its exit code is {launched.returncode}, see above"
        raise LidrError(f"accelerate launch ({settings}): {said}")
    return (folder / DONE).read_bytes()


def _pass_on(lines: TextIOWrapper, log: LogMetrics) -> None:
    """Log the lines that are complete."""
    while line := lines.readline():
        if not line.endswith("\n"):
            lines.seek(lines.tell() - len(line))
            return
        step, metrics = msgspec.json.decode(line, type=tuple[int, dict[str, float]])
        log(metrics, step)


# ---- in the processes


def is_first() -> bool:
    """Whether this is the process that logs and writes: the first, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def logger(folder: Path) -> LogMetrics:
    """The function by which the first process logs, a line at a time."""
    file = (folder / METRICS).open("a", encoding="utf-8", buffering=1)

    def log(metrics: dict[str, float], step: int) -> None:
        file.write(msgspec.json.encode([step, metrics]).decode() + "\n")

    return log


def finish(folder: Path, result: Any) -> None:
    """Write what `launch` returns."""
    (folder / DONE).write_bytes(msgspec.json.encode(result))


@contextmanager
def errors_to_file(folder: Path) -> Iterator[None]:
    """An error that a user can act on becomes the message that `launch` raises; others keep their traceback."""
    try:
        yield
    except LidrError as error:
        # One process may fail alone, as where only its pairs' loss is not finite.
        if is_first() or not (folder / ERROR).exists():
            (folder / ERROR).write_text(one_line(error), "utf-8")
        raise SystemExit(1) from None
