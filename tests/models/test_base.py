"""Base model folders: which are accepted, what is copied, and the fingerprint of the copy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import msgspec
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import load_file

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.models import base
from lidr.models import folder as model
from lidr.models.policy import BaseRecord, fingerprint

LAB = model.locate(config.Base(model="lab"))
PICKLED = ("pytorch_model.bin", "model.pt", "model.pkl", "tokenizer.pkl", "training_args.bin", "optimizer.pt")


def settings(name: str, **values: Any) -> config.Settings:
    whole = config.load()
    return msgspec.structs.replace(whole, base=msgspec.structs.replace(whole.base, model=name, **values))


@pytest.fixture
def own(root: Path) -> Path:
    """A user's model folder: a copy of the lab's base."""
    folder = root / "own"
    folder.mkdir()
    for file in LAB.iterdir():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    return folder


def test_lab_s_base_is_taken_whole(root: Path) -> None:
    record = base.run(settings("lab"))
    target = root / "models/m0"
    assert (target / "model.safetensors").read_bytes() == (LAB / "model.safetensors").read_bytes()
    assert record == msgspec.json.decode((target / "lidr.json").read_bytes(), type=BaseRecord)
    assert (record.source, record.revision, record.trust_remote_code) == ("lab", None, False)
    assert record.pad_token == "<|pad|>"
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


def test_missing_folder_leaves_the_old_model(own: Path) -> None:
    old = paths.model("m0")
    old.mkdir(parents=True)
    (old / "lidr.json").write_text("old")
    shutil.rmtree(own)
    with pytest.raises(InputError) as caught:
        base.run(settings(str(own)))
    assert str(caught.value) == f"{own}: no such folder; base.model in params.yaml names it"
    assert {path.name: path.read_text() for path in old.iterdir()} == {"lidr.json": "old"}
    assert [path.name for path in paths.MODELS.iterdir()] == ["m0"]


def test_code_goes_along_only_where_it_may_be_run(own: Path) -> None:
    (own / "modeling_own.py").write_text("class Own: ...\n")
    records = [base.run(settings(str(own), trust_remote_code=trusted)) for trusted in (False, True)]
    assert (paths.model("m0") / "modeling_own.py").read_text() == "class Own: ...\n"
    assert [record.trust_remote_code for record in records] == [False, True]
    assert records[0].fingerprint != records[1].fingerprint


OWN_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "lidr_test_own"

class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


def with_code(folder: Path, code: str, repository: str = "") -> None:
    """Give the model code of its own, in its folder or in another repository."""
    values = json.loads((folder / "config.json").read_text())
    maps = {"AutoConfig": f"{repository}own_model.OwnConfig", "AutoModelForCausalLM": "own_model.OwnModel"}
    (folder / "config.json").write_text(json.dumps(values | {"model_type": "lidr_test_own", "auto_map": maps}))
    (folder / "own_model.py").write_text(code)


def test_model_with_code_of_its_own(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(own.parent / "modules"))
    with_code(own, OWN_CODE)
    with pytest.raises(InputError, match=r"it needs Python code of its own; read that, then set base"):
        base.run(settings(str(own)))
    base.run(settings(str(own), trust_remote_code=True))
    assert (paths.model("m0") / "own_model.py").read_text() == OWN_CODE
    with_code(own, OWN_CODE, "someone/else--")
    with pytest.raises(InputError, match=r"its code lies in another repository, which no revision here pins"):
        base.run(settings(str(own), trust_remote_code=True))


def test_code_that_imports_what_is_not_installed(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(own.parent / "modules"))
    with_code(own, "import not_installed_anywhere\n")
    with pytest.raises(InputError) as caught:
        base.run(settings(str(own), trust_remote_code=True))
    assert str(caught.value) == (
        f"{own}: not a model that transformers can load: This modeling file requires the following packages that were "
        "not found in your environment: not_installed_anywhere. Run `pip install not_installed_anywhere`"
    )


def test_tokenizer_without_a_padding_token_is_taken_and_recorded(own: Path) -> None:
    values = json.loads((own / "tokenizer_config.json").read_text())
    values.pop("pad_token")
    (own / "tokenizer_config.json").write_text(json.dumps(values))
    assert base.run(settings(str(own))).pad_token is None


# ---- the Hub


def on_hub(monkeypatch: pytest.MonkeyPatch, folder: Path, error: Exception | None = None) -> list[dict[str, Any]]:
    """A fake Hub with the model of this folder; returns the requests to it."""
    asked: list[dict[str, Any]] = []

    def snapshot_download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        if error is not None:
            raise error
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_weights_of_a_hub_model_come_after_all_else_was_checked(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = on_hub(monkeypatch, own)
    record = base.run(settings("me/model", revision="0123abc"))
    assert [(call["name"], call["revision"]) for call in asked] == [("me/model", "0123abc")] * 2
    talk, whole = (call["allow_patterns"] for call in asked)
    assert [pattern for pattern in talk if "safetensors" in pattern] == []
    assert whole == [*talk, "model.safetensors"]
    assert all("*.py" not in call["allow_patterns"] for call in asked)
    assert (record.source, record.revision) == ("me/model", "0123abc")
    # Hard links, if the file system has them: a model of 16 GB is not stored twice.
    assert (paths.model("m0") / "model.safetensors").samefile(own / "model.safetensors")


def test_only_the_shards_that_the_index_lists_are_fetched(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = on_hub(monkeypatch, own)
    (own / "model.safetensors").rename(own / "model-00001-of-00001.safetensors")
    weights = load_file(own / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "model-00001-of-00001.safetensors")}
    (own / "model.safetensors.index.json").write_text(json.dumps(index))
    base.run(settings("me/model", revision="0123abc"))
    talk, whole = (call["allow_patterns"] for call in asked)
    assert whole == [*talk, "model-00001-of-00001.safetensors"]


def test_nothing_is_fetched_of_a_hub_model_that_cannot_be_used(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = on_hub(monkeypatch, own)
    (own / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match=r"^me/model: the tokenizer has no chat template"):
        base.run(settings("me/model", revision="0123abc"))
    assert len(asked) == 1


REPLY: Any = SimpleNamespace(headers={}, request=None)
NOT_FETCHED = "me/model at 0123abc could not be fetched: "
HUB_ERRORS = {
    "gated": (GatedRepoError("x", response=REPLY), "me/model is gated: accept its licence on the Hub, then log in"),
    "absent": (RepositoryNotFoundError("x", response=REPLY), f"{NOT_FETCHED}x; check the id (OWNER/NAME)"),
    "no revision": (RevisionNotFoundError("x", response=REPLY), f"{NOT_FETCHED}x; check the id"),
    "no id": (HFValidationError("x"), f"{NOT_FETCHED}x; check the id"),
    "no network": (LocalEntryNotFoundError("No way.\nMore."), f"{NOT_FETCHED}No way.; "),
}


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("error", "expected"), HUB_ERRORS.values(), ids=HUB_ERRORS.keys())
def test_hub_model_that_cannot_be_had_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, expected: str
) -> None:
    on_hub(monkeypatch, tmp_path, error)
    with pytest.raises(LidrError) as caught:
        base.run(settings("me/model", revision="0123abc"))
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


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
