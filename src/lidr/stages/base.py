"""Stage `base`: takes a snapshot of the model that the iterations start from.

    $ lidr base
    base: lab -> models/m0 (fingerprint 3f1c9a04b7d2)

Checks config, tokenizer and chat template before any weight is fetched or copied, then puts them with generation config
and safetensors weights into models/m0, and adds lidr.json with the fingerprint that every later record refers to.
"""

from __future__ import annotations

import os
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.jsonl import atomic_folder, read_json, write_json
from lidr.policy import BaseRecord, fingerprint

# A model is its weights and what is needed to talk to it; pickled weights are never copied, nor loaded.
_WEIGHTS = "*.safetensors"
_TALK = ("*.json", "*.jinja", "*.model", "tokenizer*", "merges.txt", "vocab.txt", "LICENSE*")
_CODE = "*.py"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")
_UNWANTED = (*_PICKLED, "training_args*", "optimizer*", paths.RECORD, ".*")


def run(settings: config.Settings, target: Path | None = None) -> BaseRecord:
    """Snapshot the base model; raises InputError where it is missing, unreadable or lacks what lidr needs."""
    base = settings.base
    source = locate(base)
    tokenizer = check(source, base)
    # The Hub's cache is never edited in place, so its files can be shared by links; a user's own can not.
    on_hub = base.revision is not None
    if on_hub:
        source = _from_hub(base, (*wanted(base), _WEIGHTS))
    check_weights(source, base)
    with atomic_folder(target or paths.model(paths.BASE)) as folder:
        _copy(source, folder, (*wanted(base), _WEIGHTS), link=on_hub)
        record = BaseRecord(
            source=base.model,
            revision=base.revision,
            trust_remote_code=base.trust_remote_code,
            fingerprint=fingerprint(folder),
            pad_token=tokenizer.pad_token,
        )
        write_json(folder / paths.RECORD, record)
    return record


def write_empty_audit() -> None:
    """What the first iteration's audit goes on from: no data was made for m0."""
    write_json(paths.audit(paths.BASE) / paths.METRICS, {"iteration": paths.BASE, "pairs": 0})


def locate(base: config.Base) -> Path:
    """The folder with the model's files: the lab's own, a local one, or the Hub's snapshot, as yet without weights."""
    if base.model == config.LAB:
        return Path(str(resources.files("lidr.lab") / "base"))
    if base.revision is not None:
        return _from_hub(base, wanted(base))
    folder = Path(base.model)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or base.model.startswith("."):
        raise InputError("no such folder; base.model in params.yaml names it", base.model)
    reason = "for a model from the Hub, so that the run can be rebuilt"
    raise InputError(f"there is no folder {base.model!r}, and base.revision is expected {reason}")


def wanted(base: config.Base) -> tuple[str, ...]:
    """Names of all files but the weights that belong to a model; its Python files only where they may be run."""
    return (*_TALK, _CODE) if base.trust_remote_code else _TALK


def check(folder: Path, base: config.Base) -> Any:
    """Load config and tokenizer, say what is missing, and return the tokenizer."""
    from transformers import AutoConfig, AutoTokenizer

    _check_code(folder, base)
    try:
        AutoConfig.from_pretrained(folder, trust_remote_code=base.trust_remote_code)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=base.trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"not a model that transformers can load: {str(error).splitlines()[0]}", base.model) from error
    if not tokenizer.chat_template:
        raise InputError("the tokenizer has no chat template; a chat (instruct) model is expected", base.model)
    if tokenizer.eos_token_id is None:
        raise InputError("the tokenizer has no end-of-sequence token; a chat (instruct) model is expected", base.model)
    return tokenizer


def check_weights(folder: Path, base: config.Base) -> None:
    """Raise InputError unless all weights are there, as safetensors."""
    present = {path.name for path in folder.glob(_WEIGHTS)}
    if not present:
        raise InputError("no *.safetensors weights in this model; other formats are not loaded", base.model)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        listed = read_json(index)
        assert isinstance(listed, dict)
        missing = sorted(set(listed.get("weight_map", {}).values()) - present)
        if missing:
            raise InputError(f"weights are missing: {', '.join(missing)}", index)


def _check_code(folder: Path, base: config.Base) -> None:
    """A model that brings its own Python is loaded only where that is allowed, and only from this very folder."""
    path = folder / "config.json"
    own = read_json(path) if path.exists() and _is_json(path) else {}
    assert isinstance(own, dict)
    classes = [str(name) for name in (own.get("auto_map") or {}).values()]
    if classes and any("--" in name for name in classes) and base.trust_remote_code:
        raise InputError("its code lies in another repository, which no revision here pins (auto_map)", base.model)


def _is_json(path: Path) -> bool:
    try:
        return isinstance(read_json(path), dict)
    except InputError:
        return False  # transformers tells what is wrong with it


def _copy(source: Path, folder: Path, names: tuple[str, ...], link: bool) -> None:
    unwanted = {path for pattern in _UNWANTED for path in source.glob(pattern)}
    for path in sorted({path for pattern in names for path in source.glob(pattern)} - unwanted):
        if path.is_file():
            _take(path, folder / path.name, link)


def _take(path: Path, target: Path, link: bool) -> None:
    if link:
        try:
            os.link(path.resolve(), target)
        except OSError:
            pass  # another file system, or one without links
        else:
            return
    shutil.copyfile(path, target)


def _from_hub(base: config.Base, names: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(
            snapshot_download(
                base.model, revision=base.revision, allow_patterns=list(names), ignore_patterns=list(_PICKLED)
            )
        )
    except GatedRepoError as error:
        raise LidrError(
            f"{base.model} is gated: accept its licence on the Hub, then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise LidrError(f"{base.model} has no revision {base.revision!r}; the hash of a commit is expected") from error
    except RepositoryNotFoundError as error:
        raise LidrError(f"the Hub has no model {base.model!r}, or it is private: check the id, set HF_TOKEN") from error
    except HFValidationError as error:
        raise InputError(f"{base.model!r} is no Hub id; OWNER/NAME is expected, or no revision for a folder") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise LidrError(
            f"{base.model} at {base.revision} could not be fetched: {str(error).splitlines()[0]}; "
            "where there is no network, set base.model to a local folder and base.revision to null"
        ) from error
