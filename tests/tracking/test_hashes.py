"""The hashes equal those of a real `dvc add`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lidr.tracking import hashes
from lidr.tracking.hashes import dvc_hash


def _hash_by_dvc(path: Path) -> str:
    from ruamel.yaml import YAML

    pointer = YAML(typ="safe", pure=True).load(path.with_name(f"{path.name}.dvc"))
    return pointer["outs"][0]["md5"]


def test_file_and_nested_folder_hash_as_dvc_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("rows.jsonl")
    file.write_bytes(b'{"id":"a"}\r\n{"id":"b"}\n')
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", "a.b/c.txt", "ñandú 😀.txt", "A.txt", ".hidden"):
        path = Path("folder", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    Path("folder/empty").mkdir()
    before = dvc_hash(Path("folder"))
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], check=True)
    subprocess.run([*dvc, "add", "-q", "rows.jsonl", "folder"], check=True)

    assert dvc_hash(file) == _hash_by_dvc(file)
    assert dvc_hash(Path("folder")) == _hash_by_dvc(Path("folder"))
    # DVC writes it beside outputs once their stage has ended.
    Path("folder/.gitignore").write_text("/b.txt\n", encoding="utf-8")
    assert dvc_hash(Path("folder")) == before


def test_large_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hashes, "_LARGE", 4)
    file = Path("weights.safetensors")
    file.write_bytes(b"12345678")
    first = dvc_hash(file)
    kept = Path(".lidr/hashes.json").read_bytes()
    assert (dvc_hash(file), Path(".lidr/hashes.json").read_bytes()) == (first, kept)
    file.write_bytes(b"123456789")
    assert dvc_hash(file) != first
