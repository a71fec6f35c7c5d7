"""The devices that train: one, or all visible ones with `train.accelerate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from lidr import paths
from lidr.errors import InputError

ALL = paths.LAUNCHERS / "gpus.yaml"


def use_one(arguments: Any) -> None:
    """Let this process train on its first GPU alone, and say so where more are visible; launched ones have one each.

    Trainer would make the model parallel over all of them (`nn.DataParallel`), which TRL refuses.
    """
    if arguments.n_gpu > 1:
        print(f"one of {arguments.n_gpu} visible GPUs trains; `train.accelerate: {ALL}` uses all", file=sys.stderr)
        arguments._n_gpu = 1


def leave_out_cudnn_attention() -> None:
    """Exclude cuDNN's kernel from torch's attention kernels.

    Since torch 2.11 cuDNN's is its first choice on Hopper, and with a mask its gradient is NaN at widths of 64 more
    than a multiple of 128, where a head's scores are very negative (pytorch/pytorch#196678, huggingface/trl#7181):
    seen on an H200 with Qwen2.5-Coder-0.5B, in step 40 of 160.
    """
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)


def visible_gpus() -> int:
    """How many GPUs of CUDA this process may use."""
    import torch

    return torch.cuda.device_count()


def processes(settings: Path, device: str) -> int:
    """How many processes `accelerate launch` is to start: the visible GPUs, or what accelerate's `settings` say.

    Raises InputError where the file is missing, or asks for what this machine does not have or for several machines.
    """
    values = _read(settings)
    wanted = values.get("num_processes")
    if values.get("num_machines", 1) != 1:
        reason = "num_machines: 1 is expected; docs/scale.md says how several machines train"
        raise InputError(reason, settings)
    if values.get("use_cpu") or device == "cpu":
        if wanted is None:
            raise InputError("num_processes is expected: only GPUs can be counted", settings)
        return int(wanted)
    found = visible_gpus()
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
    if not settings.is_file():
        raise InputError(expected, settings)
    try:
        values = YAML(typ="safe", pure=True).load(settings.read_text("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(expected, settings) from error
    if not isinstance(values, dict):
        raise InputError(expected, settings)
    return values
