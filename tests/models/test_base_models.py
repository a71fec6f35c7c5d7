"""The error line of each defect of a model's folder, and what looks like one and is none.

A folder is written by `save_pretrained`, with the lab's tokenizer, and then damaged in one way. The families that
are taken are in tests/test_real_models.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tokenizers
from factories import ROOT
from safetensors.torch import load_file, save_file

from lidr import config, paths
from lidr.errors import InputError
from lidr.models import base

CASES = ROOT / "tests/cases/models"
LAB = ROOT / "src/lidr/lab/base"
SIZES: dict[str, Any] = {
    "vocab_size": 1200,  # the lab's tokenizer's
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}
EXPERTS = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SIZES),
    "mixture of experts": ("Qwen3MoeConfig", SIZES | EXPERTS),
    "llama 4": ("Llama4TextConfig", SIZES | {"intermediate_size_mlp": 32, "num_local_experts": 2}),
}


@pytest.fixture
def own(root: Path) -> Path:
    """A Llama that nothing is wrong with."""
    return make(root / "own", "llama")


def make(folder: Path, family: str, **options: Any) -> Path:
    """A random model of this family, with the lab's tokenizer."""
    import transformers

    name, values = FAMILIES[family]
    built = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**values))
    built.save_pretrained(folder, **options)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(LAB / file, folder / file)
    return folder


def settings_of(folder: Path) -> config.Settings:
    whole = config.load(ROOT / "params.yaml")
    return msgspec.structs.replace(whole, base=msgspec.structs.replace(whole.base, model=str(folder)))


def take(folder: Path) -> list[str]:
    """Snapshot the folder; returns the weight files that were copied."""
    base.run(settings_of(folder))
    return sorted(path.name for path in paths.model("m0").glob("*.safetensors"))


def refusal(folder: Path) -> str:
    """The error line that refuses the folder, without the path that it begins with."""
    with pytest.raises(InputError) as caught:
        base.run(settings_of(folder))
    assert not paths.model("m0").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(folder)).replace(str(folder), "OWN")


@pytest.mark.parametrize("shard_size", ["60KB", "1GB"])
def test_weights_are_those_of_the_index_or_the_one_file_alone(root: Path, shard_size: str) -> None:
    """Other weights in the folder are ignored: Mistral's own format, or those of an earlier save."""
    folder = make(root / "own", "llama", max_shard_size=shard_size)
    listed = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(listed) == (3 if shard_size == "60KB" else 1)
    for name in ("consolidated.safetensors", "model.safetensors"):
        if name not in listed:
            save_file({}, folder / name)
    assert take(folder) == listed


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the tensors of model.safetensors."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def renamed(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / old).rename(folder / new)


def written(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def configured(**values: Any) -> Callable[[Path], object]:
    return lambda folder: edit(folder / "config.json", **values)


def two_without_index(folder: Path) -> None:
    for number in (1, 2):
        shutil.copyfile(folder / "model.safetensors", folder / f"model-0000{number}-of-00002.safetensors")
    (folder / "model.safetensors").unlink()


def index(folder: Path, **places: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def other_shape(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"lm_head.weight": tensors["lm_head.weight"][:1199].clone()}))


def fewer_embeddings(folder: Path) -> None:
    edit(folder / "config.json", vocab_size=1100)
    rewrite(folder, lambda tensors: tensors.update({name: tensors[name][:1100].clone() for name in EMBEDDINGS}))


EMBEDDINGS = ("lm_head.weight", "model.embed_tokens.weight")
QUANTISED = "; an unquantised checkpoint is expected, which base.quantization quantises at loading"
NO_WEIGHTS = "no weights: model.safetensors is expected, or shards with their model.safetensors.index.json"
CAUSAL = "a model that AutoModelForCausalLM loads is expected"
DAMAGED = "copy or fetch it again"

DEFECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (
        cut_off,
        "/model.safetensors: no safetensors file, or cut off (Error while deserializing header: incomplete metadata, "
        f"file not fully covered); {DAMAGED}",
    ),
    "no weights": (
        renamed("model.safetensors", "pytorch_model.bin"),
        f": {NO_WEIGHTS}; other formats than safetensors are not loaded",
    ),
    "Mistral's own format alone": (
        renamed("model.safetensors", "consolidated.safetensors"),
        f": {NO_WEIGHTS}; found consolidated.safetensors",
    ),
    "shards without index": (
        two_without_index,
        f": {NO_WEIGHTS}; found model-00001-of-00002.safetensors, model-00002-of-00002.safetensors",
    ),
    "lost shard": (
        lambda folder: index(folder, a="model.safetensors", b="model-00002-of-00002.safetensors"),
        "/model.safetensors.index.json: weights are missing: model-00002-of-00002.safetensors",
    ),
    "index that leads elsewhere": (
        lambda folder: index(folder, a="../model.safetensors"),
        "/model.safetensors.index.json: '../model.safetensors' is listed: the name of a safetensors file beside the "
        "index is expected",
    ),
    "index of nothing": (index, "/model.safetensors.index.json: a weight_map of tensors and their files is expected"),
    "one other shape": (
        other_shape,
        ": its weights have other shapes than its config says: lm_head.weight is [1199, 16], not [1200, 16]",
    ),
    "another width": (
        configured(hidden_size=18),
        ": its weights have other shapes than its config says: lm_head.weight is [1200, 16], not [1200, 18], "
        "model.embed_tokens.weight is [1200, 16], not [1200, 18], "
        "model.layers.0.input_layernorm.weight is [16], not [18] and 18 more",
    ),
    "a layer less": (
        configured(num_hidden_layers=3, layer_types=None),
        ": its weights lack what its config asks for: model.layers.2.input_layernorm.weight, "
        "model.layers.2.mlp.down_proj.weight, model.layers.2.mlp.gate_proj.weight and 6 more",
    ),
    "fewer embeddings than tokens": (
        fewer_embeddings,
        ": the tokenizer has more tokens than the model has embeddings (1,100): 'Ġnombre' is 1,100; "
        "take the tokenizer that belongs to the weights",
    ),
    "bitsandbytes": (
        configured(quantization_config={"quant_method": "bitsandbytes"}),
        f": its weights are quantised (bitsandbytes){QUANTISED}",
    ),
    "an adapter": (
        written("adapter_config.json", "{}"),
        ": it has an adapter (adapter_config.json); merge that into the weights first",
    ),
    "images and text": (
        written("config.json", '{"model_type": "llava"}'),
        f": llava is no causal language model for transformers but one of images and text; {CAUSAL}",
    ),
    "no language model": (
        written("config.json", '{"model_type": "vit"}'),
        f": vit is no causal language model for transformers; {CAUSAL}",
    ),
    **{
        kind: (
            written("config.json", json.dumps({"model_type": kind})),
            f": {kind} models answer wrongly, or not at all, beside a longer request, as they take padding for text; "
            "another model is expected",
        )
        for kind in ("minimax", "mpt", "recurrent_gemma", "rwkv")
    },
    "no config": (
        without("config.json"),
        ": not a model that transformers can load: Unrecognized model in OWN. Should have a `model_type` key in its "
        "config.json.",
    ),
    "no tokenizer": (
        without("tokenizer.json"),
        ": it has no tokenizer; tokenizer.json is expected beside config.json",
    ),
    "broken tokenizer": (
        written("tokenizer.json", '{"version": '),
        ": not a model that transformers can load: one of its JSON files is broken or cut off: Expecting value: line 1 "
        "column 13 (char 12)",
    ),
    "no chat template": (
        without("chat_template.jinja"),
        ": the tokenizer has no chat template; a chat (instruct) model is expected",
    ),
}


@pytest.mark.parametrize(("spoil", "expected"), DEFECTS.values(), ids=DEFECTS.keys())
def test_defect_is_named_in_one_line(own: Path, spoil: Callable[[Path], object], expected: str) -> None:
    spoil(own)
    assert refusal(own) == expected


PUBLIC = {
    "badtok": f": not a model that transformers can load: tokenizers {tokenizers.__version__} does not understand its "
    "tokenizer.json, which may be newer: data did not match any variant of untagged enum PreTokenizerUntagged at line "
    "1 column 141",
    "gptq": f": its weights are quantised (gptq){QUANTISED}",
    "lfs": "/model.safetensors: a pointer of Git LFS, not the file itself; run `git lfs pull` in its folder",
    "tplbad": ": the chat template cannot render a conversation: unexpected '}'",
    "tpllist": ": the tokenizer has several chat templates, and none is named 'default'; one is expected",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_file_that_cannot_be_used(own: Path, name: str) -> None:
    if name == "tpllist":
        (own / "chat_template.jinja").unlink()
    shutil.copytree(CASES / name, own, dirs_exist_ok=True)
    assert refusal(own) == PUBLIC[name]


def test_experts_that_do_not_fit(root: Path) -> None:
    folder, name = make(root / "own", "mixture of experts"), "model.layers.0.mlp.experts.1.up_proj.weight"
    edit(folder / "config.json", num_local_experts=4)
    assert refusal(folder) == (
        ": its weights have other shapes than its config says: "
        "model.layers.0.mlp.experts.down_proj is [3, 16, 8], not [4, 16, 8], "
        "model.layers.0.mlp.experts.gate_up_proj is [3, 16, 16], not [4, 16, 16], "
        "model.layers.0.mlp.gate.weight is [3, 16], not [4, 16] and 3 more"
    )
    edit(folder / "config.json", num_local_experts=3)
    rewrite(folder, lambda tensors: tensors.update({name: tensors[name][:7].clone()}))
    assert refusal(folder) == ": its weights do not fit its config: parts of one tensor, as of experts, differ"


def test_model_that_training_could_not_use(root: Path) -> None:
    """Else generation and translation would be paid for first."""
    assert refusal(make(root / "own", "llama 4")) == (
        "base.model: Llama4ForCausalLM cannot be trained, as transformers cannot tell its layers from its head "
        "(base_model, get_decoder); another model is expected"
    )


def test_tensors_that_the_model_does_not_use_are_no_error(own: Path) -> None:
    rewrite(own, lambda tensors: tensors.update({"mtp.weight": tensors["lm_head.weight"].clone()}))
    assert take(own) == ["model.safetensors"]


def test_special_token_without_embedding_is_no_error(own: Path) -> None:
    """Such as Gemma 3 1B's token for images: only a prompt that contains its text would use it."""
    values = json.loads((own / "tokenizer.json").read_text())
    values["added_tokens"].append(values["added_tokens"][-1] | {"id": 1200, "content": "<image>", "special": True})
    (own / "tokenizer.json").write_text(json.dumps(values))
    assert take(own) == ["model.safetensors"]
