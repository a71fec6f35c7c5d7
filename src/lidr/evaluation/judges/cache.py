"""The judgment cache: stores every reply of a judge at once, so that a stopped run resumes and pays for none twice.

    .lidr/judge/5d0c....jsonl
    {"key":"8c1f...","lower":-0.105,"upper":-2.303,"prompt_tokens":391,"completion_tokens":1}

The file's name is a hash of the judge and its prompt template, the key a hash of the whole question. So a reply is
reused only for the same question to the same judge, whichever model or command asks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import msgspec

from lidr import paths
from lidr.errors import naming
from lidr.evaluation.judges import prompt
from lidr.evaluation.judges.base import Reply
from lidr.records.prompt_templates import Conversation


class JudgmentCache:
    """The replies of one judge; threads may add to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        content = path.read_bytes() if path.exists() else b""
        self._replies = _decoded(content)
        # A killed run may leave a partial line, to which the next one must not be appended.
        self._begin = b"" if content.endswith(b"\n") or not content else b"\n"

    def add(self, reply: Reply) -> None:
        """Store a reply; it is on disk when this returns."""
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with naming(self.path), self.path.open("ab") as file:
                file.write(self._begin + msgspec.json.encode(reply) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._begin = b""
            self._replies[reply.key] = reply

    def missing(self, questions: Sequence[Conversation]) -> dict[str, Conversation]:
        """The questions without a reply, by key, each once."""
        by_key = {key_of(question): question for question in questions}
        return {key: question for key, question in by_key.items() if key not in self._replies}

    def replies(self, questions: Sequence[Conversation]) -> list[Reply]:
        """The replies to the questions, which must all have one."""
        return [self._replies[key_of(question)] for question in questions]


def open_cache(*judge: str | None, reply: str = "logprobs") -> JudgmentCache:
    """The cache of the judge with this identity: kind, model, address."""
    identity = msgspec.json.encode([*judge, prompt.SYSTEM, prompt.template(reply)])
    return JudgmentCache(paths.judgment_cache(hashlib.sha256(identity).hexdigest()[:16]))


def key_of(question: Conversation) -> str:
    """The key of a question: SHA-256 of the whole conversation."""
    return hashlib.sha256(msgspec.json.encode(question)).hexdigest()


def _decoded(content: bytes) -> dict[str, Reply]:
    decoder = msgspec.json.Decoder(Reply)
    kept: dict[str, Reply] = {}
    for line in content.splitlines():
        try:
            reply = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # the partial line of a killed run: its question is asked again
        kept[reply.key] = reply
    return kept
