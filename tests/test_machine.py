"""Cores and memory of a machine, and the limits that a container or a batch job sets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lidr import config, doctor, machine
from lidr.plan import device

GIB = 1024**3


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 256 GiB and 64 cores, with this folder for its control groups; the process is in their root."""
    sizes = {"SC_PHYS_PAGES": 256 * GIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "OWN_GROUP", tmp_path / "own")
    (tmp_path / "groups").mkdir()
    (tmp_path / "own").write_text("0::/\n")
    return tmp_path / "groups"


def limit(group: Path, cpu: str, memory: str) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / "cpu.max").write_text(f"{cpu}\n")
    (group / "memory.max").write_text(f"{memory}\n")


def test_a_machine_without_limits(groups: Path) -> None:
    assert (machine.cores(), machine.memory()) == (64, 256 * GIB)
    limit(groups, "max 100000", "max")
    assert (machine.cores(), machine.memory()) == (64, 256 * GIB)


@pytest.mark.parametrize(
    ("quota", "count"), [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("9900000 100000", 64)]
)
def test_a_container_has_what_its_limits_leave_it(groups: Path, quota: str, count: int) -> None:
    limit(groups, quota, str(16 * GIB))
    assert (machine.cores(), machine.memory()) == (count, 16 * GIB)


def test_a_batch_job_has_the_limits_of_all_groups_that_hold_it(groups: Path) -> None:
    groups.with_name("own").write_text("1:cpu:/elsewhere\n0::/slurm/job_7/step_0\n")
    limit(groups / "slurm", "max 100000", str(128 * GIB))
    limit(groups / "slurm/job_7", "800000 100000", str(32 * GIB))
    limit(groups / "slurm/job_7/step_0", "max 100000", str(64 * GIB))
    limit(groups / "slurm/job_8", "100000 100000", str(GIB))
    assert (machine.cores(), machine.memory()) == (8, 32 * GIB)


def test_other_systems_have_no_control_groups(groups: Path) -> None:
    groups.with_name("own").unlink()
    groups.rmdir()
    assert (machine.cores(), machine.memory()) == (64, 256 * GIB)


@pytest.mark.usefixtures("root")
def test_plan_and_doctor_count_by_the_limit(groups: Path) -> None:
    limit(groups, "max 100000", str(16 * GIB))
    assert device.find("cpu", None) == device.Device("cpu", "this machine's CPU", 16 * GIB)
    assert doctor._memory(config.load()).detail == "16.0 GiB; `lidr plan` says what is needed"
