"""An exported model answers like base and adapter, and its card names its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from factories import random_adapter

from lidr import config, export, paths
from lidr.cli import main
from lidr.engines.base import Request, Sampling
from lidr.engines.transformers import TransformersEngine
from lidr.errors import InputError
from lidr.lab import source
from lidr.models import base, policy
from lidr.models.policy import Policy
from lidr.records.jsonl import read_json, write_json
from lidr.records.prompt_templates import prompt_conversation

pytestmark = pytest.mark.pipeline


@pytest.fixture
def trained(root: Path) -> config.Settings:
    """A project with the lab's base and an adapter m1 that changes its answers."""
    settings = config.load()
    base.run(settings)
    random_adapter(paths.MODELS, 0.2, ["q_proj", "down_proj"], rows=1843)
    return settings


def answers(settings: config.Settings, model: Policy) -> list[str]:
    values: dict[str, Any] = msgspec.to_builtins(settings.engine) | {"device": "cpu"}
    engine = TransformersEngine(msgspec.convert(values, config.Engine), model)
    prompts = source.prompts("iterations", "es", 12, seed=3).values()
    wanted = [Request(p.id, prompt_conversation(p.text)) for p in prompts]
    return [c.text for c in engine.generate(wanted, Sampling(max_new_tokens=40), lambda count: None)]


def test_exported_model_answers_as_base_and_adapter(trained: config.Settings, tmp_path: Path) -> None:
    fingerprint = export.run(trained, "m1", tmp_path / "out")
    expected = answers(trained, policy.resolve("m1"))
    assert answers(trained, Policy("out", tmp_path / "out", None, False, fingerprint)) == expected
    assert answers(trained, policy.resolve("m0")) != expected


def test_sampling_values_without_do_sample_are_kept(trained: config.Settings, tmp_path: Path) -> None:
    """As older models list them; transformers refuses to save them."""
    file = paths.model("m0") / "generation_config.json"
    write_json(file, read_json(file) | {"temperature": 0.6, "top_p": 0.9})
    record = paths.model("m0") / paths.RECORD
    write_json(record, read_json(record) | {"fingerprint": policy.fingerprint(paths.model("m0"))})
    export.run(trained, "m0", tmp_path / "out")
    saved = read_json(tmp_path / "out/generation_config.json")
    assert (saved["do_sample"], saved["temperature"], saved["top_p"]) == (True, 0.6, 0.9)


@pytest.mark.parametrize(
    ("described", "dtype"),
    [
        ({"dtype": "float16"}, "float16"),
        ({"torch_dtype": "bfloat16"}, "bfloat16"),
        ({"model_type": "gemma3", "text_config": {"dtype": "bfloat16"}}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_weights_are_exported_as_they_were_published(tmp_path: Path, described: dict[str, Any], dtype: str) -> None:
    write_json(tmp_path / "config.json", {"model_type": "llama"} | described)
    assert export._own_dtype(tmp_path, trust_remote_code=False) == dtype


def test_card_names_everything_that_the_weights_come_from(trained: config.Settings, tmp_path: Path) -> None:
    fingerprint = export.run(trained, "m1", tmp_path / "out", "bfloat16")
    card = (tmp_path / "out/README.md").read_text()
    base_print, adapter_print = policy.resolve("m0").fingerprint, policy.fingerprint(paths.model("m1"))
    assert f"| m0 | lab | `{base_print}` |  |" in card
    assert f"| m1 | adapter on m0, from m0 on 1,843 pairs (beta {trained.train.dpo['beta']:g}, alpha " in card
    assert f"| `{adapter_print}` | `{'a1' * 32}` |" in card
    assert f"| this folder | m1 merged, bfloat16, without this card | `{fingerprint}` | |" in card
    assert "language:\n- en\n- es\n- de\n- fr\n- ru\n" in card
    (tmp_path / "out/README.md").unlink()
    assert policy.fingerprint(tmp_path / "out") == fingerprint


def test_card_says_how_the_model_was_made(trained: config.Settings) -> None:
    def card(name: str, **changes: Any) -> str:
        own = msgspec.structs.replace(trained, **changes)
        return " ".join(export.card(own, policy.resolve(name), "float32", "e" * 64).split())

    ranked = "Its own answers in Spanish, German, French, Russian were ranked below its translated answers in English"
    paper = card("m1")
    assert "lab after 1 iteration of training on its own answers" in paper
    assert f"{ranked}, and the other way round. It was trained on such pairs by DPO. No human label was used." in paper
    assert "tags: - lidr - dpo - multilingual" in paper
    # An arm from the base has one iteration, whatever its name.
    write_json(paths.model("m3") / paths.RECORD, read_json(paths.model("m1") / paths.RECORD) | {"model": "m3"})
    branch = trained.iterations | {"m3": config.Iteration(previous="m0", data="m1")}
    assert "lab after 1 iteration of" in card("m3", iterations=branch)
    supervised = msgspec.structs.replace(trained.train, objective="sft")
    others = config.Pairs(directions="others", filters=("right", {"name": "length_ratio", "most": 2}))
    found = card("m1", train=supervised, pairs=others)
    assert f"{ranked}. It was trained on the better ones alone, by supervised fine-tuning." in found
    assert "tags: - lidr - sft - multilingual" in found and "No human label" not in found
    implicit = card("m1", pairs=config.Pairs(rule="implicit"))
    assert "the one with the highest implicit reward was ranked above the one with the lowest" in implicit
    assert ranked not in implicit
    base = card("m0")
    assert "lab, before any iteration. The adapter was merged" in base and "tags: - lidr - multilingual" in base
    assert "DPO" not in base and "human label" not in base


def test_whole_folder_is_a_model_of_its_own(trained: config.Settings, tmp_path: Path) -> None:
    export.run(trained, "m1", tmp_path / "out", "bfloat16")
    from safetensors import safe_open

    with safe_open(tmp_path / "out/model.safetensors", "pt") as weights:
        assert {str(weights.get_tensor(key).dtype) for key in weights.keys()} == {"torch.bfloat16"}  # noqa: SIM118
    values = msgspec.to_builtins(trained) | {}
    values["base"] |= {"model": str(tmp_path / "out")}
    record = base.run(msgspec.convert(values, config.Settings), tmp_path / "again")
    assert (tmp_path / "again/chat_template.jinja").read_bytes() == (
        paths.model("m0") / "chat_template.jinja"
    ).read_bytes()
    assert not (tmp_path / "again/README.md").exists()
    assert record.pad_token == "<|pad|>"


def test_what_is_there_already_stays(trained: config.Settings, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"something is here already; an empty place is expected, or --force$"):
        export.run(trained, "m1", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    result = CliRunner().invoke(main, ["export", "--model", "m1", "--to", str(tmp_path / "out"), "--force"])
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "out/mine.txt").exists()


@pytest.mark.usefixtures("trained")
def test_model_that_is_not_made_yet(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["export", "--model", "m2", "--to", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert result.output.startswith("Error: models/m2/lidr.json: no such file; run the stage that makes it")
    assert not (tmp_path / "out").exists()
