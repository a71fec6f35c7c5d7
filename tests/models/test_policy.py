"""What is asked of a model before and after it is loaded: hashes of its files, and how many tokens it takes."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from factories import ROOT

from lidr.models import policy


def test_settled_file_is_read_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    digest = policy.hashlib.file_digest
    monkeypatch.setattr(policy.hashlib, "file_digest", lambda file, name: reads.append(name) or digest(file, name))
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    first = policy.file_hash(path)
    path.rename(tmp_path / "moved")
    assert policy.file_hash(tmp_path / "moved") == first
    assert len(reads) == 1
    (tmp_path / "moved").write_bytes(b"two")
    second = policy.file_hash(tmp_path / "moved")
    assert second != first
    # Written a moment ago: it may change again with the same time.
    (tmp_path / "moved").write_bytes(b"six")
    assert policy.file_hash(tmp_path / "moved") not in {first, second}
    assert len(reads) == 3


@pytest.mark.parametrize(("case", "expected"), [("gemma3mm", 2048), ("lfs", 2048), ("bloom", None)])
def test_context_length_of_a_family(case: str, expected: int | None) -> None:
    from transformers import AutoConfig

    found = AutoConfig.from_pretrained(ROOT / "tests/cases/models" / case)
    assert policy.context_length(found) == expected


@pytest.mark.parametrize(
    ("config", "limit", "expected"),
    [
        ("GPT2Config", 10**30, 1024),
        ("MptConfig", 10**30, 2048),
        ("BloomConfig", 10**30, None),
        ("BloomConfig", 1024, 1024),
        ("BloomConfig", None, None),
        ("LlamaConfig", 512, 2048),
    ],
)
def test_context_length_by_other_names(config: str, limit: int | None, expected: int | None) -> None:
    import transformers

    tokenizer = SimpleNamespace(model_max_length=limit)
    assert policy.context_length(getattr(transformers, config)(), tokenizer) == expected


LONG = {"long_factor": [2.0] * 48, "short_factor": [1.0] * 48}


@pytest.mark.parametrize(
    ("config", "values", "expected"),
    [
        ("Phi3Config", {"rope_scaling": {"type": "longrope", **LONG}}, 4096),
        ("Phi3Config", {"rope_scaling": {"type": "longrope", **LONG}, "original_max_position_embeddings": 512}, 512),
        (
            "LlamaConfig",
            {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 256, **LONG}},
            256,
        ),
        ("Phi3Config", {}, 131072),
        ("LlamaConfig", {"rope_scaling": {"type": "linear", "factor": 2.0}}, 131072),
    ],
)
def test_context_length_of_longrope_is_the_original_one(config: str, values: dict[str, Any], expected: int) -> None:
    import transformers

    found = getattr(transformers, config)(max_position_embeddings=131072, **values)
    assert policy.context_length(found) == expected
