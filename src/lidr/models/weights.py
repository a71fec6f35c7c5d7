"""The weights of a model: which files they are, and whether all that its config asks for is in them.

No weight is read: a safetensors file begins with the names, shapes and places of its tensors, and transformers loads
the model onto PyTorch's meta device, where a tensor has a shape and no memory (a Llama of 8 B: 0.3 s).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lidr.errors import InputError
from lidr.records.jsonl import read_json

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

_LFS = b"version https://git-lfs.github.com/"
_SHOWN = 3  # of the names in an error


def names(folder: Path) -> tuple[str, ...]:
    """The shards that the index lists or, without an index, the one file; existence is not checked.

    Other files, such as `consolidated.safetensors` in Mistral's repositories, are not part of the model.
    """
    index = folder / INDEX
    if not index.exists():
        return (WHOLE,)
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise InputError("a weight_map of tensors and their files is expected", index)
    for name in places.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise InputError(f"{name!r} is listed: the name of a safetensors file beside the index is expected", index)
    return tuple(sorted(set(places.values())))


def check_pointers(files: Iterable[Path]) -> None:
    """Raise InputError at a file that Git LFS has not fetched: a few lines of text that stand for its content."""
    for path in files:
        with path.open("rb") as file:
            if file.read(len(_LFS)) == _LFS:
                raise InputError("a pointer of Git LFS, not the file itself; run `git lfs pull` in its folder", path)


def check_files(folder: Path, model: str) -> None:
    """Raise InputError unless all files of the weights are there and complete."""
    from safetensors import SafetensorError, safe_open

    files = [folder / name for name in names(folder)]
    missing = [path.name for path in files if not path.is_file()]
    if missing and not (folder / INDEX).exists():
        there = sorted(path.name for path in folder.glob("*.safetensors"))
        found = f"; found {_some(there)}" if there else "; other formats than safetensors are not loaded"
        raise InputError(f"no weights: {WHOLE} is expected, or shards with their {INDEX}{found}", model)
    if missing:
        raise InputError(f"weights are missing: {_some(missing)}", folder / INDEX)
    check_pointers(files)
    for path in files:
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise InputError(f"no safetensors file, or cut off ({error}); copy or fetch it again", path) from error


def build(folder: Path, model: str, config: Any, trust_remote_code: bool) -> Any:
    """The model as it will be loaded, on the meta device; raises InputError where tensors are missing or do not fit.

    transformers' own loading compares them, for it renames tensors and joins them (those of experts, for example).
    Tensors that the model does not use, such as a multi-token prediction head, are no error.
    """
    import torch
    from transformers import AutoModelForCausalLM

    # transformers would prefer a single file that lies beside the index.
    chosen = INDEX if (folder / INDEX).exists() else WHOLE
    for part in (config, config.get_text_config()):
        part.transformers_weights = chosen
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            device_map="meta",
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except RuntimeError as error:
        if "conversion" not in str(error):
            raise
        raise InputError(
            "its weights do not fit its config: parts of one tensor, as of experts, differ", model
        ) from error
    built, found = loaded
    other = sorted(
        f"{name} is {list(shape)}, not {list(expected)}" for name, shape, expected in found["mismatched_keys"]
    )
    if other:
        raise InputError(f"its weights have other shapes than its config says: {_some(other)}", model)
    if found["missing_keys"]:
        raise InputError(f"its weights lack what its config asks for: {_some(sorted(found['missing_keys']))}", model)
    return built


def _some(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
