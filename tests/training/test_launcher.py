"""Stage `train` with `accelerate launch` and two CPU processes: the same curve as one process, written once."""

from __future__ import annotations

import csv
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from factories import ROOT
from processes import is_running
from small_training import configured, pair, take_base

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.records.jsonl import write_rows
from lidr.training import launcher
from lidr.training import stage as train

LAUNCHERS = sorted((ROOT / paths.LAUNCHERS).glob("*.yaml"))
ON_CPU = "profiles/accelerate/cpu.yaml"
ITERATIONS, PAIRS = ("m1", "m2"), 16


def settings_with(**values: Any) -> config.Settings:
    """Two epochs of all pairs and no checkpoints."""
    return configured(**({"num_train_epochs": 2, "eval_share": 0.0, "save_steps": 0} | values))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a base and pairs for two iterations."""
    folder = tmp_path_factory.mktemp("launcher")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        paths.LAUNCHERS.mkdir(parents=True)
        for file in LAUNCHERS:
            (folder / paths.LAUNCHERS / file.name).write_bytes(file.read_bytes())
        take_base()
        for iteration in ITERATIONS:
            write_rows(paths.pairs(iteration) / paths.PAIRS, [pair(number) for number in range(11, 11 + PAIRS)])
    return folder


@pytest.fixture(scope="module")
def curves(project: Path) -> list[tuple[list[dict[str, float]], Any]]:
    """m2's log.csv and the stage's result, by one process and by two with the same global batch."""
    found: list[tuple[list[dict[str, float]], Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        train.run(settings_with(), "m1")
        for accelerate in (None, ON_CPU):
            live: list[int] = []
            trained = train.run(
                settings_with(accelerate=accelerate), "m2", lambda metrics, step, live=live: live.append(step)
            )
            found.append((log(), (trained, sorted(set(live)))))
    return found


def log() -> list[dict[str, float]]:
    with (paths.model("m2") / "log.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.pipeline
def test_two_processes_have_the_curve_of_one(curves: Any) -> None:
    (one, (alone, _)), (two, (trained, live)) = curves
    assert [row["step"] for row in two] == [row["step"] for row in one] == list(range(3, 9))
    assert live == list(range(1, 9)), "the metrics are passed on while they come"
    assert (trained.pairs, trained.steps, trained.drops) == (alone.pairs, alone.steps, alone.drops) == (PAIRS, 8, [])
    assert one[-1]["loss"] < one[0]["loss"] / 2
    for name in one[0].keys() - {"entropy"}:  # TRL weighs it by micro-batch
        assert [row[name] for row in two] == pytest.approx([row[name] for row in one], abs=1e-3), name


@pytest.mark.pipeline
def test_the_first_process_writes_what_one_process_would(curves: Any, project: Path) -> None:
    expected = ["adapter_config.json", "adapter_model.safetensors", "drops.jsonl", "first_pair.txt", "lidr.json"]
    assert sorted(path.name for path in (project / "models/m2").iterdir()) == [*expected, "log.csv", "metrics.json"]
    assert sorted(path.name for path in (project / "models").iterdir()) == ["m0", "m1", "m2"]


@pytest.mark.pipeline
def test_an_error_of_a_process_is_the_stages(
    curves: Any, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    before, settings = (paths.model("m2") / "log.csv").read_bytes(), settings_with(accelerate=ON_CPU)
    paths.PARAMS.write_text("seeds: 1\n")  # which each process reads, before it imports what trains
    with pytest.raises(LidrError, match=r"accelerate launch \(.*\): params.yaml:1: .*seeds"):
        train.run(settings, "m2")
    assert (paths.model("m2") / "log.csv").read_bytes() == before


STAGE = """
from lidr import config
from lidr.training import stage
stage.run(config.load(), "m1")
"""


@pytest.mark.pipeline
def test_a_killed_stage_takes_its_processes_along(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would train on beside the next run, which clears their folder and is let in by the lock."""
    monkeypatch.chdir(project)
    settings_with(accelerate=ON_CPU, num_train_epochs=10_000)
    metrics = paths.scratch(train.STAGE, "m1") / launcher.METRICS
    stage, started = psutil.Popen([sys.executable, "-c", STAGE]), []
    try:
        wait_until(lambda: metrics.exists() and metrics.stat().st_size > 0, 120)
        started = stage.children(recursive=True)
        assert len(started) == 3  # accelerate's own and the two that train
        stage.kill()
        stage.wait()
        wait_until(lambda: not any(is_running(process.pid) for process in started), 20)
    finally:
        for process in (stage, *started):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_pairs_that_processes_cannot_share_out_are_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("WORLD_SIZE", "2")  # as in each of two processes
    message = (
        r"pairs_per_step is 4: a multiple of train.dpo.per_device_train_batch_size \(4\) x 2 processes is expected"
    )
    with pytest.raises(InputError, match=message):
        train.run(settings_with(per_device_train_batch_size=4), "m1")


def test_settings_that_are_not_there_are_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(InputError, match=r"profiles/accelerate/none.yaml: accelerate's own settings are expected"):
        train.run(settings_with(accelerate="profiles/accelerate/none.yaml"), "m1")


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda path: path.stem)
def test_shipped_settings_are_accelerates_own(file: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    found = load_config_from_file(str(file))  # refuses unknown keys
    assert (found.mixed_precision, found.main_process_ip, found.num_machines) == ("no", "127.0.0.1", 1)
    kinds = {"cpu": "MULTI_GPU", "gpus": "MULTI_GPU", "fsdp": "FSDP", "deepspeed": "DEEPSPEED"}
    assert str(found.distributed_type.value) == kinds[file.stem]
    assert found.use_cpu == (file.stem == "cpu")


def environment_of(name: str) -> dict[str, str]:
    """The environment of `accelerate launch`'s processes with these settings."""
    from accelerate.commands import launch
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    file = ROOT / paths.LAUNCHERS / f"{name}.yaml"
    arguments = launch.launch_command_parser().parse_args(
        ["--config_file", str(file), "--num_processes", "8", "-m", "lidr.training.stage", "m1"]
    )
    arguments, defaults, _ = launch._validate_launch_command(arguments)
    if name == "deepspeed":
        arguments.deepspeed_fields_from_accelerate_config = ",".join(defaults.deepspeed_config)  # as the command does
        return dict(prepare_deepspeed_cmd_env(arguments)[1])
    return dict(prepare_multi_gpu_env(arguments))


def test_fsdp_is_version_2_and_saves_whole_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate import FullyShardedDataParallelPlugin

    for key, value in environment_of("fsdp").items():
        monkeypatch.setenv(key, value)
    plugin = FullyShardedDataParallelPlugin()
    assert (plugin.fsdp_version, plugin.reshard_after_forward) == (2, True)
    assert type(plugin.cpu_offload).__name__ == "OffloadPolicy", "that of version 2 which keeps the weights on the GPU"
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"
    assert plugin.auto_wrap_policy.__name__ == "transformer_auto_wrap_policy"


def test_deepspeed_is_zero_3_and_saves_whole_weights() -> None:
    found = environment_of("deepspeed")
    assert found["ACCELERATE_USE_DEEPSPEED"] == "true"
    assert found["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == "3"
    assert found["ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL"] == "true"
    assert found["ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE"] == "none"
    assert found["ACCELERATE_DEEPSPEED_ZERO3_INIT"] == "true", "from_pretrained makes the model in shards"


def test_model_is_loaded_while_the_arguments_that_shard_it_are_alive(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers reads the arguments' configuration while they exist; DeepSpeed itself is not tested."""
    from lidr.models import policy
    from lidr.training import arguments

    monkeypatch.chdir(project)
    made: list[weakref.ref[Any]] = []

    class Noted(arguments.DPOConfig):  # type: ignore[name-defined,misc]
        def __post_init__(self) -> None:
            super().__post_init__()
            made.append(weakref.ref(self))

    class LoadedError(Exception):
        pass

    def load(*_: Any) -> None:
        assert [reference() is not None for reference in made] == [True]
        raise LoadedError

    monkeypatch.setattr(arguments, "DPOConfig", Noted)
    monkeypatch.setattr(policy, "load_base", load)
    with pytest.raises(LoadedError):
        train.run(settings_with(), "m1")
