"""A translator without mistakes for the lab's answers, behind an address as any translation system is.

    with served():
        ...                        # translate.model: {endpoint: "http://127.0.0.1:18643/v1", model: exact}

It reads the text and the languages out of the request that the stage `translate` sends. An answer's own mistakes are
kept. A text that is no answer in its language has no translation: the reply is empty, and the stage counts it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lidr.lab.world import load_language, translate_answer
from lidr.records.languages import english_name
from lidr.records.prompt_templates import CLOSING_TAG, OPENING_TAG, TRANSLATION

PORT = 18643
LANGUAGES = ("en", "es", "de", "fr", "ru")


def _pattern(template: str) -> re.Pattern[str]:
    """What finds the languages and the text in a request of this wording."""
    parts = re.split(r"\{(\w+)\}", template)
    found = (re.escape(part) if place % 2 == 0 else f"(?P<{part}>.*)" for place, part in enumerate(parts))
    return re.compile("".join(found), re.DOTALL)


REQUEST = _pattern(TRANSLATION["v1"])
CODES = {english_name(lang): lang for lang in LANGUAGES}


def reply(request: str) -> str:
    """The translation between its tags, or nothing."""
    asked = REQUEST.fullmatch(request)
    if asked is None:
        return ""
    text = translate_answer(asked["text"], CODES[asked["source"]], CODES[asked["target"]])
    return "" if text is None else f"{OPENING_TAG}{text}{CLOSING_TAG}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = reply(asked["messages"][0]["content"])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        body = {"id": "exact", "object": "chat.completion", "created": 0, "model": asked["model"]}
        encoded = json.dumps(body | {"choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *arguments: object) -> None:
        """No line for each of some thousand requests."""


@contextmanager
def served() -> Iterator[None]:
    """The translator at its address on this machine, for as long as the block runs."""
    for lang in LANGUAGES:
        load_language(lang)  # once, before threads ask for it
    server = ThreadingHTTPServer(("127.0.0.1", PORT), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
