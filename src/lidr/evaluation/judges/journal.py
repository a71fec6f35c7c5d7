"""Every reply of a judge, kept as it comes, so that a run that was stopped goes on and pays for no row twice.

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


class Journal:
    """The replies of one judge; threads may add to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._replies = _read(path)

    def find(self, key: str) -> Reply | None:
        """The reply to the question of this key, if there is one."""
        return self._replies.get(key)

    def add(self, reply: Reply) -> None:
        """Keep a reply, on disk before this returns."""
        line = msgspec.json.encode(reply) + b"\n"
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with naming(self.path), self.path.open("ab") as file:
                # A line that a killed run left unfinished must not swallow this one.
                file.write(line if _ends_a_line(self.path) else b"\n" + line)
                file.flush()
                os.fsync(file.fileno())
            self._replies[reply.key] = reply


def open_journal(*judge: str | None, reply: str = "logprobs") -> Journal:
    """The journal of the judge that these words name: kind, model, address."""
    identity = msgspec.json.encode([*judge, prompt.SYSTEM, prompt.template(reply)])
    return Journal(paths.judge_journal(hashlib.sha256(identity).hexdigest()[:16]))


def key_of(question: Conversation) -> str:
    """What a question is known by: SHA-256 of all that is said in it."""
    return hashlib.sha256(msgspec.json.encode(question)).hexdigest()


def missing(journal: Journal, questions: Sequence[Conversation]) -> dict[str, Conversation]:
    """The questions that have no reply yet, by their key, each once."""
    by_key = {key_of(question): question for question in questions}
    return {key: question for key, question in by_key.items() if journal.find(key) is None}


def replies(journal: Journal, questions: Sequence[Conversation]) -> list[Reply]:
    """The replies to questions that all have one."""
    found = [journal.find(key_of(question)) for question in questions]
    return [reply for reply in found if reply is not None]


def _read(path: Path) -> dict[str, Reply]:
    decoder = msgspec.json.Decoder(Reply)
    kept: dict[str, Reply] = {}
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            reply = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # the last line of a run that was killed: its question is asked again
        kept[reply.key] = reply
    return kept


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
