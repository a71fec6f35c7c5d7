"""Models of the pipeline: M_t is the base in models/m0 plus one adapter in models/m<t>, and nothing else.

models/m0/lidr.json, written by `lidr base`:

    {"source": "lab", "revision": null, "trust_remote_code": false, "fingerprint": "3f1c...", "pad_token": "<|pad|>",
     "template": {}, "date": "2024-07-26", "end_ids": [2]}

models/m1/lidr.json, written by `lidr train m1`:

    {"model": "m1", "previous": "m0", "base": "3f1c...", "reference": "3f1c...", "pairs": "a1b2...", "rows": 1843,
     "eval_rows": 97}

A fingerprint is the SHA-256 of the names and contents of all files that make up a model (weights, tokenizer, chat
template, generation config), so that a later record can be traced to exactly these bytes. Of a base that is quantised
as it is loaded, a policy's fingerprint covers how; the record's stays that of the files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lidr import paths
from lidr.config.quantization import bits_and_bytes
from lidr.errors import InputError
from lidr.records import Record
from lidr.records.jsonl import read_json

if TYPE_CHECKING:
    import torch


class BaseRecord(Record, frozen=True):
    """The base's source, its fingerprint, and its chat settings (see `lidr.chat`).

    `template` and `date` are written into the folder's chat template; `end_ids` are the tokens that end generation.
    """

    source: str
    revision: str | None
    trust_remote_code: bool
    fingerprint: str
    pad_token: str | None
    template: dict[str, Any]
    date: str
    end_ids: tuple[int, ...]
    quantization: dict[str, Any] | None = None


class AdapterRecord(Record, frozen=True):
    """What an adapter was trained on: base, reference and pairs by their fingerprints; `eval_rows` are held out."""

    model: str
    previous: str
    base: str
    reference: str
    pairs: str
    rows: int
    eval_rows: int = 0


# Bases whose fingerprint was checked: tokenizer and weights are loaded separately, and hashing takes long.
_CHECKED: set[tuple[Path, str]] = set()
_NO_LIMIT = 10**9  # tokens
# Families whose layers in transformers do not mask left padding.
_NOT_PADDED = ("minimax", "mpt", "recurrent_gemma", "rwkv")


@dataclass(frozen=True)
class Policy:
    """One model on disk. `adapter` is None for the base itself; `end_ids` are known of a snapshot only.

    `quantization` is how the base is quantised when it is loaded, as BitsAndBytesConfig says it.
    """

    name: str
    base: Path
    adapter: Path | None
    trust_remote_code: bool
    fingerprint: str
    end_ids: tuple[int, ...] = ()
    quantization: dict[str, Any] | None = field(default=None, hash=False)


def resolve(name: str, root: Path = paths.MODELS) -> Policy:
    """Find a model and check that its adapter belongs to this base; raises InputError where it is not there."""
    base = root / paths.BASE
    base_record = read_json(base / paths.RECORD, BaseRecord)
    trusted, quantization = base_record.trust_remote_code, base_record.quantization
    own = _as_loaded(base_record.fingerprint, quantization)
    if name == paths.BASE:
        return Policy(name, base, None, trusted, own, base_record.end_ids, quantization)
    adapter = root / name
    record = read_json(adapter / paths.RECORD, AdapterRecord)
    if record.base != own:
        raise InputError(
            f"this adapter was trained on the base {record.base[:12]}, but {base} is {own[:12]}; "
            f"run `lidr train {name}` again",
            adapter / paths.RECORD,
        )
    combined = hashlib.sha256(f"{own}+{fingerprint(adapter)}".encode()).hexdigest()
    return Policy(name, base, adapter, trusted, combined, base_record.end_ids, quantization)


def of_folder(
    folder: Path,
    key: str,
    name: str | None = None,
    trust_remote_code: bool = False,
    quantization: dict[str, Any] | None = None,
) -> Policy:
    """The model in a folder of the user's, which `key` of params.yaml names; raises InputError where there is none."""
    if not (folder / "config.json").is_file():
        raise InputError(f"no model here (no config.json); `{key}` is expected to be its folder", folder)
    return Policy(
        name=name or folder.name,
        base=folder,
        adapter=None,
        trust_remote_code=trust_remote_code,
        fingerprint=fingerprint(folder),
        quantization=quantization,
    )


def changes_the_base(adapter: Path) -> bool:
    """Whether a LoRA has any weight beside 0 in its second matrices, which begin as 0."""
    from safetensors import safe_open

    with safe_open(adapter / "adapter_model.safetensors", "pt") as weights:
        return any(weights.get_tensor(name).any() for name in weights.keys() if "lora_B" in name)  # noqa: SIM118


def _as_loaded(files: str, quantization: dict[str, Any] | None) -> str:
    """The files' fingerprint, or one of files and quantisation."""
    if quantization is None:
        return files
    how = msgspec.json.encode(quantization, order="sorted").decode()
    return hashlib.sha256(f"{files} {how}".encode()).hexdigest()


def fingerprint(folder: Path) -> str:
    """SHA-256 over all files of a model folder, sorted by name; lidr's own record is not part of the model."""
    whole = hashlib.sha256()
    for file in sorted(f for f in folder.rglob("*") if f.is_file() and f.name != paths.RECORD):
        whole.update(f"{file.relative_to(folder).as_posix()}\0{file_hash(file)}\n".encode())
    return whole.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pick_device(wanted: str) -> str:
    """The device to compute on: `auto` takes cuda, mps or cpu, whichever is there first."""
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_tokenizer(policy: Policy) -> Any:
    """The base's tokenizer, padding on the left as generation needs it; raises InputError where files were changed."""
    _check_base(policy.base)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy.base, trust_remote_code=policy.trust_remote_code)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def context_length(config: Any, tokenizer: Any = None) -> int | None:
    """The context in tokens by a transformers config; None where it has no limit, as with ALiBi.

    A multimodal config has its language model's values one level below, and older families have a key of their own. A
    tokenizer without a limit has a number of thirty digits instead.
    """
    text = config.get_text_config()
    if original := longrope_length(config):
        return original
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        length = getattr(text, name, None)
        if isinstance(length, int) and length > 0:
            return length
    length = getattr(tokenizer, "model_max_length", None)
    return int(length) if length is not None and 0 < length < _NO_LIMIT else None


def longrope_length(config: Any) -> int | None:
    """Tokens up to which LongRoPE (Phi-3, Phi-4-mini) has one table of positions; None for other models.

    Beyond it all positions are those of a second table, and a cache of the first one's keys no longer fits.
    """
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if rope.get("rope_type", rope.get("type")) != "longrope":
        return None
    length = getattr(text, "original_max_position_embeddings", None) or rope.get("original_max_position_embeddings")
    return int(length) if length else None


def load_base(policy: Policy, dtype: torch.dtype, device: str = "cpu") -> Any:
    """The base model alone, from safetensors only; raises InputError where its files were changed.

    It is on the CPU; a quantised one on `device`, where bitsandbytes quantises it while it is loaded.
    """
    _check_base(policy.base)
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(policy.base, trust_remote_code=policy.trust_remote_code)
    check_padding(config, policy.base)
    options: dict[str, Any] = {}
    if policy.quantization is not None:
        how = bits_and_bytes(policy.quantization, dtype)
        # A device map needs the number of a GPU: that of the process's current one.
        place = torch.cuda.current_device() if device == "cuda" else device
        options = {"quantization_config": how, "device_map": {"": place}}
    return AutoModelForCausalLM.from_pretrained(
        policy.base,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=policy.trust_remote_code,
        attn_implementation=attention_for(config),
        **options,
    )


def check_padding(config: Any, place: Path | str) -> None:
    """Raise InputError for a family that cannot be batched."""
    if config.model_type in _NOT_PADDED:
        reason = f"{config.model_type} models answer wrongly, or not at all, beside a longer request"
        raise InputError(f"{reason}, as they take padding for text; another model is expected", place)


def attention_for(config: Any) -> str | None:
    """The attention that a model needs, None for transformers' own choice: SDPA leaves a softcap out (Gemma 2)."""
    return "eager" if getattr(config.get_text_config(), "attn_logit_softcapping", None) is not None else None


def _check_base(folder: Path) -> None:
    """A judge's folder has no record: its fingerprint is taken as it is."""
    path = folder / paths.RECORD
    if not path.exists():
        return
    recorded = read_json(path, BaseRecord).fingerprint
    if (folder.absolute(), recorded) in _CHECKED:
        return
    found = fingerprint(folder)
    if found != recorded:
        reason = f"the files are not those that `lidr base` recorded ({found[:12]}, not {recorded[:12]})"
        raise InputError(f"{reason}; run `lidr base` again", folder)
    _CHECKED.add((folder.absolute(), recorded))


def load_for_generation(policy: Policy, dtype: torch.dtype, device: str) -> Any:
    """The model ready to generate.

    In float32 the adapter is merged into the weights, which is exact to rounding and saves two small matrix products
    for each layer and token. In half precision or a quantised base, merging would round away what the adapter learned,
    so it stays separate.
    """
    import torch

    model = load_base(policy, dtype, device)
    if policy.adapter is not None:
        model = with_adapter(model, policy.adapter)
    if policy.quantization is not None:
        return model.eval()
    if policy.adapter is not None and dtype == torch.float32:
        model = model.merge_and_unload()
    return model.to(device).eval()


def with_adapter(model: Any, adapter: Path, is_trainable: bool = False) -> Any:
    """The model with the adapter beside its weights; raises InputError where the folder holds none that fits it."""
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(model, adapter, is_trainable=is_trainable)
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"no adapter that fits the base: {error}; train it again", adapter) from error
