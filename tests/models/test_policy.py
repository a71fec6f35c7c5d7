"""Facts about a model, before and after loading: hashes of its files, and its context length."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lidr import paths
from lidr.errors import InputError
from lidr.models import policy
from lidr.records.jsonl import write_json


def test_a_base_is_checked_once_and_refused_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def base(name: str, recorded: str) -> policy.Policy:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"one")
        record = policy.BaseRecord("lab", None, False, recorded, None, {}, "2024-07-26", ())
        write_json(folder / paths.RECORD, record)
        return policy.Policy(name, folder, None, False, recorded)

    hashed, digest = list[Path](), policy.file_hash
    monkeypatch.setattr(policy, "file_hash", lambda path: hashed.append(path) or digest(path))
    whole = base("whole", "9a227a3a529f8234d4413bf8dc157485847807af110e28b0bc22c490c00c7633")
    spoilt = base("spoilt", "f" * 64)
    for _ in range(2):
        policy._check_base(whole.base)
        with pytest.raises(InputError, match=r"spoilt: the files are not those that `lidr base` recorded"):
            policy._check_base(spoilt.base)
    assert [path.parent.name for path in hashed] == ["whole", "spoilt", "spoilt"]


def test_a_judges_or_translators_family_is_checked_where_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mpt"}', "utf-8")
    with pytest.raises(InputError, match=r"mpt models answer wrongly, or not at all, beside a longer request"):
        policy.load_base(policy.of_folder(tmp_path, "translate.model"), torch.float32)


LONG = {"long_factor": [2.0] * 48, "short_factor": [1.0] * 48}
LONGROPE = {"rope_scaling": {"type": "longrope", **LONG}}


@pytest.mark.parametrize(
    ("config", "values", "limit", "expected"),
    [
        ("Gemma3Config", {"text_config": {"max_position_embeddings": 2048}}, None, 2048),
        ("GPT2Config", {}, 10**30, 1024),
        ("MptConfig", {}, 10**30, 2048),
        ("BloomConfig", {}, 10**30, None),
        ("BloomConfig", {}, 1024, 1024),
        ("BloomConfig", {}, None, None),
        ("LlamaConfig", {}, 512, 2048),
        # LongRoPE's is the original one.
        ("Phi3Config", LONGROPE | {"max_position_embeddings": 131072}, None, 4096),
        ("Phi3Config", LONGROPE | {"original_max_position_embeddings": 512}, None, 512),
        (
            "LlamaConfig",
            {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 256, **LONG}},
            None,
            256,
        ),
        ("Phi3Config", {"max_position_embeddings": 131072}, None, 131072),
        (
            "LlamaConfig",
            {"rope_scaling": {"type": "linear", "factor": 2.0}, "max_position_embeddings": 131072},
            None,
            131072,
        ),
    ],
)
def test_context_length_of_a_family(
    config: str, values: dict[str, Any], limit: int | None, expected: int | None
) -> None:
    import transformers

    tokenizer = SimpleNamespace(model_max_length=limit)
    assert policy.context_length(getattr(transformers, config)(**values), tokenizer) == expected
