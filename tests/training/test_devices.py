"""Devices for training: one without a launcher, all visible ones with it, and never more than exist."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from factories import ROOT

from lidr import config, doctor, paths
from lidr.errors import InputError
from lidr.training import launcher
from lidr.training.trainer import _use_one_gpu

GPUS = ROOT / paths.LAUNCHERS / "gpus.yaml"


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def with_processes(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(GPUS.read_text("utf-8") + text)
    return file


def test_one_of_several_gpus_trains_without_a_launcher(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from trl.trainer.dpo_config import DPOConfig

    arguments = DPOConfig(str(tmp_path), use_cpu=True, report_to=[], per_device_train_batch_size=4, bf16=False)
    arguments._n_gpu = 3  # as `_setup_devices` finds with three visible GPUs
    assert arguments.train_batch_size == 12
    _use_one_gpu(arguments)
    assert (arguments.n_gpu, arguments.train_batch_size) == (1, 4)
    assert capfd.readouterr().err == (
        "one of 3 visible GPUs trains; `train.accelerate: profiles/accelerate/gpus.yaml` uses all\n"
    )


@pytest.mark.usefixtures("two_gpus")
def test_launched_processes_are_as_many_as_gpus_are_visible(tmp_path: Path) -> None:
    for name in ("gpus", "fsdp", "deepspeed"):
        assert launcher.processes(ROOT / paths.LAUNCHERS / f"{name}.yaml", "auto") == 2
    assert launcher.processes(ROOT / paths.LAUNCHERS / "cpu.yaml", "auto") == 2
    assert launcher.processes(with_processes(tmp_path, "num_processes: 1\n"), "cuda") == 1
    reason = "num_processes is 8, but 2 GPUs are visible; without the key all of them are used"
    with pytest.raises(InputError, match=reason):
        launcher.processes(with_processes(tmp_path, "num_processes: 8\n"), "auto")


def test_one_gpu_needs_no_launcher_but_to_be_in_shards() -> None:
    assert launcher.is_one_process(GPUS, 1)
    assert not launcher.is_one_process(GPUS, 2)
    assert not launcher.is_one_process(ROOT / paths.LAUNCHERS / "fsdp.yaml", 1)


def test_what_cannot_be_counted_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(InputError, match=r"no GPU is visible; profiles/accelerate/cpu.yaml trains on the processor"):
        launcher.processes(GPUS, "auto")
    with pytest.raises(InputError, match="num_processes is expected: only GPUs can be counted"):
        launcher.processes(GPUS, "cpu")
    several = tmp_path / "several.yaml"
    several.write_text(GPUS.read_text("utf-8").replace("num_machines: 1", "num_machines: 2") + "num_processes: 16\n")
    with pytest.raises(InputError, match=r"several.yaml: num_machines: 1 is expected; docs/scale.md says how several"):
        launcher.processes(several, "auto")
    several.write_text("[")
    with pytest.raises(InputError, match=r"accelerate's own settings are expected \(train.accelerate\)"):
        launcher.processes(several, "auto")


def doctor_says(device: str, accelerate: str | None) -> tuple[bool | None, str]:
    values: dict[str, Any] = msgspec.to_builtins(config.load(ROOT / "params.yaml"))
    values["engine"]["device"] = device
    values["train"]["accelerate"] = accelerate
    finding = doctor._training(msgspec.convert(values, config.Settings))
    return finding.is_there, finding.detail


@pytest.mark.usefixtures("two_gpus")
def test_doctor_says_which_gpus_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / paths.LAUNCHERS, paths.LAUNCHERS)
    idle = "one of 2 visible GPUs (train.accelerate: null); profiles/accelerate/gpus.yaml uses all"
    assert doctor_says("auto", None) == (None, idle)
    assert doctor_says("cpu", None) == (True, "one process (train.accelerate: null)")
    assert doctor_says("auto", str(launcher.ALL_GPUS)) == (True, "2 processes (profiles/accelerate/gpus.yaml)")
    with launcher.ALL_GPUS.open("a") as file:
        file.write("num_processes: 8\n")
    found, detail = doctor_says("auto", str(launcher.ALL_GPUS))
    assert found is False
    assert "num_processes is 8, but 2 GPUs are visible" in detail


def test_the_gradient_of_masked_attention_is_finite_at_every_width() -> None:
    """64 more than a multiple of 128, with scores of about -120: cuDNN computes them wrongly on an H100 and H200."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU of CUDA: it is cuDNN's kernel that is wrong")
    torch.backends.cuda.enable_cudnn_sdp(False)
    size, width = 64, 448
    query, key, value = (torch.randn(1, 1, width, size, device="cuda", dtype=torch.bfloat16) / 10 for _ in range(3))
    query[..., 0], key[..., 0] = 1.0, -120 * size**0.5
    mask = torch.ones(width, width, dtype=torch.bool, device="cuda").tril()
    query.requires_grad_()
    torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).sum().backward()
    assert query.grad is not None and query.grad.isfinite().all()
