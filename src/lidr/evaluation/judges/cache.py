"""The judgment cache: every reply of a judge, kept as it comes, so that a stopped run goes on and pays for none twice.

    .lidr/judge/5d0c....jsonl
    {"key":"8c1f...","lower":-0.105,"upper":-2.303,"prompt_tokens":391,"completion_tokens":1}

The file's name is a hash of the judge and the wording of its prompt, the key one of the whole question: a reply is only
ever taken up for the very same question to the very same judge, by whichever model or command it comes.
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
        # A line that a killed run left unfinished must not swallow the next one.
        self._begin = b"" if content.endswith(b"\n") or not content else b"\n"

    def add(self, reply: Reply) -> None:
        """Keep a reply, on disk before this returns."""
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with naming(self.path), self.path.open("ab") as file:
                file.write(self._begin + msgspec.json.encode(reply) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._begin = b""
            self._replies[reply.key] = reply

    def missing(self, questions: Sequence[Conversation]) -> dict[str, Conversation]:
        """The questions that have no reply yet, by their key, each once."""
        by_key = {key_of(question): question for question in questions}
        return {key: question for key, question in by_key.items() if key not in self._replies}

    def replies(self, questions: Sequence[Conversation]) -> list[Reply]:
        """The replies to questions that all have one."""
        return [self._replies[key_of(question)] for question in questions]


def open_cache(*judge: str | None, reply: str = "logprobs") -> JudgmentCache:
    """The cache of the judge that these words name: kind, model, address."""
    identity = msgspec.json.encode([*judge, prompt.SYSTEM, prompt.template(reply)])
    return JudgmentCache(paths.judgment_cache(hashlib.sha256(identity).hexdigest()[:16]))


def key_of(question: Conversation) -> str:
    """What a question is known by: SHA-256 of all that is said in it."""
    return hashlib.sha256(msgspec.json.encode(question)).hexdigest()


def _decoded(content: bytes) -> dict[str, Reply]:
    decoder = msgspec.json.Decoder(Reply)
    kept: dict[str, Reply] = {}
    for line in content.splitlines():
        try:
            reply = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # the last line of a run that was killed: its question is asked again
        kept[reply.key] = reply
    return kept
