"""Stage `base`: takes a snapshot of the model that the iterations start from.

    $ lidr base
    base: lab -> models/m0 (fingerprint 3f1c9a04b7d2)

Copies config, tokenizer, chat template, generation config and safetensors weights to models/m0, after checking that
the model can be used at all, and adds lidr.json with the fingerprint that every later record refers to.
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.jsonl import atomic_folder, write_json
from lidr.policy import BaseRecord, fingerprint

# A model is its weights and what is needed to talk to it; pickled weights are never copied, nor loaded.
_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.model", "tokenizer*", "merges.txt", "vocab.txt", "LICENSE*")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")
_UNWANTED = (*_PICKLED, "training_args*", "optimizer*", paths.RECORD, ".*")


def run(settings: config.Settings, target: Path | None = None) -> BaseRecord:
    """Snapshot the base model; raises InputError where it is missing, unreadable or lacks what lidr needs."""
    source = locate(settings.base)
    with atomic_folder(target or paths.model(paths.BASE)) as folder:
        _copy(source, folder)
        check(folder, settings.base)
        record = BaseRecord(
            source=settings.base.model,
            revision=settings.base.revision,
            trust_remote_code=settings.base.trust_remote_code,
            fingerprint=fingerprint(folder),
        )
        write_json(folder / paths.RECORD, record)
    return record


def write_empty_audit() -> None:
    """What the first iteration's audit goes on from: no data was made for m0."""
    write_json(paths.audit(paths.BASE) / paths.METRICS, {"iteration": paths.BASE, "pairs": 0})


def locate(base: config.Base) -> Path:
    """The folder with the model's files: the lab's own, a local one, or the Hub's snapshot of the pinned revision."""
    if base.model == "lab":
        return Path(str(resources.files("lidr.lab") / "base"))
    folder = Path(base.model)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or base.model.startswith("."):
        raise InputError("no such folder; base.model in params.yaml names it", base.model)
    return _from_hub(base)


def check(folder: Path, base: config.Base) -> None:
    """Load config and tokenizer, and say what is missing before any work is done."""
    from transformers import AutoConfig, AutoTokenizer

    if not list(folder.glob("*.safetensors")):
        raise InputError("no *.safetensors weights in this model; other formats are not loaded", base.model)
    try:
        AutoConfig.from_pretrained(folder, trust_remote_code=base.trust_remote_code)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=base.trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"not a model that transformers can load: {str(error).splitlines()[0]}", base.model) from error
    if not tokenizer.chat_template:
        raise InputError("the tokenizer has no chat template; a chat (instruct) model is expected", base.model)
    if tokenizer.eos_token_id is None:
        raise InputError("the tokenizer has no end-of-sequence token; a chat (instruct) model is expected", base.model)


def _copy(source: Path, folder: Path) -> None:
    unwanted = {path for pattern in _UNWANTED for path in source.glob(pattern)}
    for path in sorted({path for pattern in _WANTED for path in source.glob(pattern)} - unwanted):
        if path.is_file():
            shutil.copyfile(path, folder / path.name)


def _from_hub(base: config.Base) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    if base.revision is None:
        raise InputError("base.revision is expected for a model from the Hub, so that the run can be rebuilt")
    try:
        return Path(
            snapshot_download(
                base.model, revision=base.revision, allow_patterns=list(_WANTED), ignore_patterns=list(_PICKLED)
            )
        )
    except GatedRepoError as error:
        raise LidrError(
            f"{base.model} is gated: accept its licence on the Hub, then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise LidrError(f"the Hub has no model {base.model!r}, or it is private: check the id, set HF_TOKEN") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise LidrError(
            f"{base.model} at {base.revision} could not be fetched: {str(error).splitlines()[0]}; "
            "set base.model to a local folder where there is no network"
        ) from error
