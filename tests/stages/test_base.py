"""Which folders are taken as a base model, what is copied of them, and the fingerprint of what was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from lidr import config, paths
from lidr.errors import InputError
from lidr.policy import BaseRecord, fingerprint
from lidr.stages import base

LAB = base.locate(config.Base(model="lab", revision=None, watch="x", trust_remote_code=False))
PICKLED = ("pytorch_model.bin", "model.pt", "model.pkl", "tokenizer.pkl", "training_args.bin", "optimizer.pt")


def settings(model: str) -> config.Settings:
    whole = config.load()
    return msgspec.structs.replace(whole, base=msgspec.structs.replace(whole.base, model=model))


@pytest.fixture
def own(root: Path) -> Path:
    """A model folder of the user's own: the lab's base, with small weights that nobody loads."""
    folder = root / "own"
    folder.mkdir()
    for file in LAB.iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            shutil.copyfile(file, folder / file.name)
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return folder


def test_lab_s_base_is_taken_whole(root: Path) -> None:
    record = base.run(settings("lab"))
    target = root / "models/m0"
    assert (target / "model.safetensors").read_bytes() == (LAB / "model.safetensors").read_bytes()
    assert record == msgspec.json.decode((target / "lidr.json").read_bytes(), type=BaseRecord)
    assert (record.source, record.revision, record.trust_remote_code) == ("lab", None, False)
    assert record.pad_token == "<pad>"
    assert record.fingerprint == fingerprint(target)
    assert len(record.fingerprint) == 64


def test_only_a_model_s_files_are_copied(own: Path) -> None:
    for name in (*PICKLED, "notes.txt", ".gitattributes", "lidr.json", "model.onnx"):
        (own / name).write_bytes(b"{}")
    (own / "LICENSE").write_text("Apache-2.0")
    (own / "checkpoint").mkdir()
    base.run(settings(str(own)))
    assert sorted(path.name for path in paths.model("m0").iterdir()) == [
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "lidr.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert json.loads((paths.model("m0") / "lidr.json").read_text())["source"] == str(own)


def _nothing(folder: Path) -> None:
    shutil.rmtree(folder)


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": ')


BAD = {
    "missing folder": (_nothing, "no such folder; base.model in params.yaml names it"),
    "no safetensors": (_no_weights, "no *.safetensors weights in this model; other formats are not loaded"),
    "no chat template": (_no_template, "the tokenizer has no chat template; a chat (instruct) model is expected"),
    "no config": (_no_config, "not a model that transformers can load: "),
    "broken config": (_broken_config, "not a model that transformers can load: "),
    "broken tokenizer": (_broken_tokenizer, "not a model that transformers can load: "),
}


@pytest.mark.parametrize(("spoil", "expected"), BAD.values(), ids=BAD.keys())
def test_folder_that_is_no_model_leaves_the_old_one(own: Path, spoil: object, expected: str) -> None:
    old = paths.model("m0")
    old.mkdir(parents=True)
    (old / "lidr.json").write_text("old")
    spoil(own)  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        base.run(settings(str(own)))
    assert str(caught.value).startswith(f"{own}: {expected}")
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_text() for path in old.iterdir()} == {"lidr.json": "old"}
    assert [path.name for path in paths.MODELS.iterdir()] == ["m0"]


@pytest.mark.usefixtures("root")
def test_hub_model_needs_its_revision() -> None:
    with pytest.raises(
        InputError,
        match=r"^there is no folder 'nobody/nothing', and base\.revision is expected for a model from the Hub",
    ):
        base.run(settings("nobody/nothing"))
    assert not paths.model("m0").exists()


# ---- fingerprints


def _model(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"\0" * 64)
    (folder / "sub/tokenizer.json").write_bytes(b"{}")
    return folder


def test_fingerprint_is_the_same_wherever_the_folder_is(tmp_path: Path) -> None:
    first = fingerprint(_model(tmp_path / "a"))
    assert fingerprint(_model(tmp_path / "b/c")) == first
    (tmp_path / "a/lidr.json").write_text("lidr's own record is no part of the model")
    assert fingerprint(tmp_path / "a") == first


def _flip_one_bit(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[17] ^= 1
    (folder / "model.safetensors").write_bytes(content)


CHANGES = {
    "one bit": _flip_one_bit,
    "name": lambda folder: (folder / "model.safetensors").rename(folder / "other.safetensors"),
    "folder": lambda folder: (folder / "sub/tokenizer.json").rename(folder / "tokenizer.json"),
    "one file more": lambda folder: (folder / "empty").touch(),
    "one file less": lambda folder: (folder / "sub/tokenizer.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_fingerprint_changes_with(tmp_path: Path, change: object) -> None:
    folder = _model(tmp_path / "model")
    before = fingerprint(folder)
    change(folder)  # type: ignore[operator]
    assert fingerprint(folder) != before
