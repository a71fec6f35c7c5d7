"""Stage `train` on several processes: `accelerate launch`, whose processes run `python -m lidr.training.stage`.

    train: {..., accelerate: profiles/accelerate/cpu.yaml}

    $ lidr train m1
    accelerate launch --config_file profiles/accelerate/cpu.yaml --num_processes 2 -m lidr.training.stage m1 .lidr/...

The processes share a folder: metrics.jsonl has what the first of them logs, `done.json` what the stage returns and
`error` why it failed, in one line. They end with the stage, even if that is killed: it holds the other end of the pipe
that is their standard input. torch starts them in sessions of their own and passes on no other file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import msgspec

from lidr import paths
from lidr.errors import InputError, LidrError, one_line
from lidr.training.history import LogMetrics

ALL_GPUS = paths.LAUNCHERS / "gpus.yaml"
METRICS, DONE, ERROR = "metrics.jsonl", "done.json", "error"
# Processes on one machine communicate over the loopback interface only.
_LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
# Set where standard input is the stage's pipe. Started by hand (docs/scale.md), it may be at its end from the start.
_LAUNCHED = "LIDR_LAUNCHED"


def processes(settings: Path, device: str) -> int:
    """How many processes `accelerate launch` is to start: the visible GPUs, or what accelerate's `settings` say.

    Raises InputError where the file is missing, or asks for what this machine does not have or for several machines.
    """
    import torch

    values = _read(settings)
    wanted = values.get("num_processes")
    if values.get("num_machines", 1) != 1:
        reason = "num_machines: 1 is expected; docs/scale.md says how several machines train"
        raise InputError(reason, settings)
    if values.get("use_cpu") or device == "cpu":
        if wanted is None:
            raise InputError("num_processes is expected: only GPUs can be counted", settings)
        return int(wanted)
    found = torch.cuda.device_count()
    if not found:
        raise InputError(f"no GPU is visible; {paths.LAUNCHERS / 'cpu.yaml'} trains on the processor", settings)
    if wanted is not None and wanted > found:
        reason = f"num_processes is {wanted}, but {found} GPUs are visible; without the key all of them are used"
        raise InputError(reason, settings)
    return found if wanted is None else int(wanted)


def is_one_process(settings: Path, count: int) -> bool:
    """Whether there is nothing to launch: accelerate refuses data parallelism of one process."""
    return count == 1 and _read(settings).get("distributed_type") == "MULTI_GPU"


def _read(settings: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    expected = "accelerate's own settings are expected (train.accelerate)"
    try:
        values = YAML(typ="safe", pure=True).load(settings.read_text("utf-8"))
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise InputError(expected, settings) from error
    if not isinstance(values, dict):
        raise InputError(expected, settings)
    return values


def launch(module: str, iteration: str, settings: Path, processes: int, folder: Path, log: LogMetrics) -> bytes:
    """Run the module in `processes` as accelerate's `settings` say; returns what its first process wrote to `DONE`.

    `log` gets the metrics live. Raises LidrError where a process fails.
    """
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(settings)]
    command += ["--num_processes", str(processes), "-m", module, iteration, str(folder)]
    environment = _LOOPBACK | os.environ | {"TMPDIR": str(folder.resolve()), _LAUNCHED: "1"}
    metrics = folder / METRICS
    metrics.touch()
    with (
        metrics.open(encoding="utf-8") as lines,
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as launched,
    ):
        try:
            while launched.poll() is None:
                time.sleep(0.5)
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


def end_with_stage() -> None:
    """Let this process end when the stage does: it would train on without the stage's lock, beside the next run."""
    if _LAUNCHED in os.environ:
        threading.Thread(target=_exit_at_end_of_input, daemon=True).start()


def _exit_at_end_of_input() -> None:
    os.read(0, 1)
    os._exit(1)


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that logs and writes: the first, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def logger(folder: Path) -> LogMetrics:
    """The function by which the first process logs, a line at a time."""
    file = (folder / METRICS).open("a", encoding="utf-8", buffering=1)

    def log(metrics: dict[str, float], step: int) -> None:
        file.write(msgspec.json.encode([step, metrics]).decode() + "\n")

    return log


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
