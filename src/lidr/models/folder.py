"""Where the base model's files are: the lab's own folder, a local one, or the Hub's snapshot of a pinned revision.

>>> locate(config.Base(model="lab"))
PosixPath('.../lidr/lab/base')
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from lidr import config
from lidr.errors import InputError, LidrError

# Files beside the weights that the tokenizer and chat template need; pickled files are never copied or loaded.
TALK = ("*.json", "*.jinja", "*.model", "*.tiktoken", "tokenizer*", "merges.txt", "vocab.txt", "LICENSE*")
CODE = "*.py"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")


def locate(base: config.Base) -> Path:
    """The folder with the model's files: the lab's own, a local one, or the Hub's snapshot, as yet without weights."""
    if base.model == config.LAB:
        return Path(str(resources.files("lidr.lab") / "base"))
    if base.revision is not None:
        return from_hub(base, wanted(base))
    folder = Path(base.model)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or base.model.startswith("."):
        raise InputError("no such folder; base.model in params.yaml names it", base.model)
    reason = "for a model from the Hub, so that the run can be rebuilt"
    raise InputError(f"there is no folder {base.model!r}, and base.revision is expected {reason}")


def config_folder(base: config.Base) -> Path:
    """A folder with the model's config.json; of a model on the Hub nothing else is fetched."""
    return locate(base) if base.revision is None else from_hub(base, ("config.json",))


def wanted(base: config.Base) -> tuple[str, ...]:
    """Names of all files but the weights that belong to a model; its Python files only where they may be run."""
    return (*TALK, CODE) if base.trust_remote_code else TALK


def from_hub(base: config.Base, names: tuple[str, ...]) -> Path:
    """The Hub's snapshot of the pinned revision with the files of these names; LidrError says what to do without it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError

    try:
        return Path(
            snapshot_download(
                base.model, revision=base.revision, allow_patterns=list(names), ignore_patterns=list(PICKLED)
            )
        )
    except GatedRepoError as error:
        raise LidrError(
            f"{base.model} is gated: accept its licence on the Hub, then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except (HFValidationError, OSError) as error:
        raise LidrError(
            f"{base.model} at {base.revision} could not be fetched: {str(error).splitlines()[0]}; check the id "
            "(OWNER/NAME) and the revision (the hash of a commit), set HF_TOKEN for a private model; where there is no "
            "network, set base.model to a local folder and base.revision to null"
        ) from error
