"""Exports a model of the pipeline as a merged model folder with a model card.

    $ lidr export --model m2 --to exported/m2
    export: m2 -> exported/m2 (fingerprint 8d20c7e14f9b)

The adapter is merged in float32 and the result cast: merging in half precision loses some of its training. A base that
was quantised for training (`base.quantization`) is quantised and dequantised first, as the adapter saw it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, get_args

import msgspec

from lidr import config, paths
from lidr.chat import open_chat
from lidr.errors import InputError
from lidr.models import policy
from lidr.models.policy import AdapterRecord, BaseRecord, Policy
from lidr.pages import render
from lidr.records.jsonl import atomic_folder, read_json, write_text
from lidr.records.languages import english_name, primary

# Files that saving the merged model writes; all others of the base's folder are copied.
_WRITTEN = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "README.md")


def run(settings: config.Settings, name: str, target: Path, dtype: str | None = None, force: bool = False) -> str:
    """Write the merged model to `target`, by default in the base's dtype, and return its fingerprint.

    Raises InputError if the model is missing, or if `target` is not empty (unless `force`).
    """
    import torch

    if target.exists() and not force and (not target.is_dir() or any(target.iterdir())):
        raise InputError("something is here already; an empty place is expected, or --force", target)
    model_policy = policy.resolve(settings.model(name))
    merged = _merged(model_policy)
    # A server of the folder then ends a turn at the same tokens as lidr.
    merged.generation_config.eos_token_id = sorted(open_chat(model_policy).end_ids)
    try:
        merged.generation_config.validate(strict=True)
    except ValueError:  # a temperature without do_sample, as older models list it, is not saved
        merged.generation_config.do_sample = True
    wanted = dtype or _own_dtype(model_policy.base, model_policy.trust_remote_code)
    with atomic_folder(target) as folder:
        merged.to(getattr(torch, wanted)).save_pretrained(folder)
        _copy_rest(model_policy.base, folder)
        exported = policy.fingerprint(folder)
        write_text(folder / "README.md", card(settings, model_policy, wanted, exported))
    return exported


def _merged(model: Policy) -> Any:
    """The model in float32 on the CPU, with its adapter merged."""
    import torch

    if model.quantization is None:
        return policy.load_for_generation(model, torch.float32, "cpu")
    merged = policy.load_base(model, torch.float32).dequantize(torch.float32)
    if model.adapter is not None:
        merged = policy.with_adapter(merged, model.adapter).merge_and_unload()
    return merged


def card(settings: config.Settings, model: Policy, dtype: str, exported: str) -> str:
    """The model card: Hub metadata, and the hashes of all models and pairs behind the weights."""
    base = read_json(model.base / paths.RECORD, BaseRecord)
    # A folder's path on this machine is private; its fingerprint identifies it.
    source = Path(base.source).name if base.revision is None else base.source
    revision = f" at {base.revision}" if base.revision else ""
    parents = settings.lineage(model.name)[1:]
    made = [settings.of_iteration(name) for name in parents]
    return render(
        "model_card.md",
        metadata=_metadata(settings, base, [own.train.objective for own in made]),
        source=source,
        name=model.name,
        others=[english_name(lang) for lang in settings.languages],
        dominant=english_name(settings.dominant),
        methods=list(dict.fromkeys((i.pairs.rule, i.pairs.directions, i.train.objective) for i in made)),
        uses_gold=any("right" in own.pairs.filter_names for own in made),
        quantization=base.quantization and msgspec.json.encode(base.quantization, order="sorted").decode(),
        rows=[("m0", source + revision, base.fingerprint, ""), *(_parent(settings, name) for name in parents)],
        prompts=settings.prompts,
        dtype=dtype,
        exported=exported,
    )


def _metadata(settings: config.Settings, base: BaseRecord, objectives: list[str]) -> str:
    """What the Hub reads of the card, as YAML."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        language=[primary(lang) for lang in settings.all_languages],
        base_model=base.source if base.revision else None,
        tags=["lidr", *dict.fromkeys(objectives), "multilingual"],
    )
    return data.to_yaml()


def _parent(settings: config.Settings, name: str) -> tuple[str, str, str, str]:
    folder = paths.model(name)
    record = read_json(folder / paths.RECORD, AdapterRecord)
    train = settings.of_iteration(name).train
    how = "supervised" if train.objective == "sft" else f"beta {train.dpo['beta']:g}, alpha {train.alpha:g}"
    what = f"adapter on m0, from {record.previous} on {record.rows:,} pairs ({how})"
    return name, what, policy.fingerprint(folder), record.pairs


def _own_dtype(base: Path, trust_remote_code: bool) -> str:
    """The dtype in which the base was published, which a multimodal model's config may say of its parts alone."""
    from transformers import AutoConfig

    published = AutoConfig.from_pretrained(base, trust_remote_code=trust_remote_code)
    own = str(published.dtype or published.get_text_config().dtype).removeprefix("torch.")
    return own if own in get_args(config.Precision) else "float32"


def _copy_rest(base: Path, folder: Path) -> None:
    written = {path for pattern in _WRITTEN for path in base.glob(pattern)}
    for path in sorted(base.iterdir()):
        if path.is_file() and path not in written and path.name != paths.RECORD:
            shutil.copyfile(path, folder / path.name)
