"""A project with the lab's base and pairs for two iterations, small enough to train in seconds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from factories import ROOT
from ruamel.yaml import YAML

from lidr import config, paths
from lidr.jsonl import write_rows
from lidr.records import Message, Pair, PairRule
from lidr.stages import base

Configure = Callable[..., config.Settings]


def pair(number: int) -> Pair:
    chosen, rejected = f"El número mayor es 61, porque 61 es más que {number}.", "The larger number is 61."
    return Pair(
        id=f"p{number}:es:en",
        prompt=(Message(role="user", content=f"¿Qué número es mayor, {number} o 61?"),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected[: 4 + number % 20]),),
        prompt_id=f"p{number}",
        lang="es",
        other_lang="en",
        rule=PairRule.TRANSLATED_DOMINANT,
        chosen_from="translation:p:en-es",
        rejected_from="response:p:es",
    )


def configured(quantization: dict[str, Any] | None = None, **train: Any) -> config.Settings:
    """The working folder's params.yaml with other values of `train`; other processes read the file."""
    document: dict[str, Any] = msgspec.to_builtins(config.load(ROOT / "params.yaml"))
    document["engine"]["device"] = "cpu"
    document["base"]["quantization"] = quantization
    document["train"] |= {"beta": 0.1, "alpha": 3.0, "learning_rate": 2e-3, "log_every_steps": 1, "eval_share": 0.4}
    document["train"] |= {"pairs_per_step": 4, "pairs_per_device": 2, "save_steps": 2} | train
    with paths.PARAMS.open("w") as file:
        YAML(typ="safe", pure=True).dump(msgspec.json.decode(msgspec.json.encode(document)), file)
    return config.load()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a base and 60 pairs, 22 of them held out: 10 steps."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        base.run(configured())
        for iteration in ("m1", "m2"):
            write_rows(paths.pairs(iteration) / paths.PAIRS, [pair(number) for number in range(60)])
    return folder


@pytest.fixture
def configure(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Writes params.yaml of this project, of which each test has its own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return configured
