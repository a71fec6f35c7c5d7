"""The software that computes, as part of the key of unfinished or kept work: another version may compute other bytes.

>>> software("lidr.chat") == software("lidr.chat"), software("lidr.chat") == software("lidr.engines")
(True, False)
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata, util
from pathlib import Path

LIBRARIES = ("accelerate", "bitsandbytes", "peft", "tokenizers", "torch", "transformers", "trl", "vllm")


@cache
def software(*packages: str) -> str:
    """A hash of the source of these packages of lidr, and of the versions of the libraries that are installed."""
    digest = hashlib.sha256()
    for package in packages:
        spec = util.find_spec(package)
        assert spec is not None and spec.submodule_search_locations, package
        for file in sorted(Path(spec.submodule_search_locations[0]).rglob("*.py")):
            digest.update(file.read_bytes())
    for name in LIBRARIES:
        digest.update(f"{name} {_version(name)}\n".encode())
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
