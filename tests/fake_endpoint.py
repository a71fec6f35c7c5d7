"""A fake OpenAI-compatible endpoint on 127.0.0.1: judges by a hash, or answers as a model, with given faults."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-7f3a9"
PROMPT_TOKENS, HANG = 100, 20.0

# (number of the request from 1, its body) -> the fault, or None
Faults = Callable[[int, dict[str, Any]], str | None]
# a request's body -> status and body of the answer
Model = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


class Endpoint:
    """The server's address, and its record of requests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str] = set()
        self.faults: Faults = lambda number, body: None
        self.model: Model | None = None
        self.most_at_once = 0
        self.asked: set[int] = set()  # the numbers of pending requests
        self.lock = threading.Lock()


def content(body: dict[str, Any]) -> str:
    return "\n".join(message["content"] for message in body["messages"])


def logprobs(text: str) -> list[dict[str, Any]]:
    """Five candidates, sometimes without one of the two labels, rarely without both."""
    draw = int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)
    tokens = [("m", -0.01 * (draw % 300 + 1)), ("M", -0.01 * (draw // 300 % 300 + 1)), ("The", -9.5), ("A", -9.75)]
    kind = draw // 90_000 % 25
    hidden = {0: {"m"}, 1: {"M"}, 2: {"m", "M"}}.get(kind, set())
    return [{"token": t, "logprob": p, "bytes": None} for t, p in [*tokens, ("Both", -11.0)] if t not in hidden]


def completion(body: dict[str, Any], top: list[dict[str, Any]] | None) -> dict[str, Any]:
    found = None if top is None else {"content": [{**top[0], "top_logprobs": top}], "refusal": None}
    message = {"role": "assistant", "content": top[0]["token"] if top else "m", "refusal": None}
    choice = {"index": 0, "finish_reason": "length", "message": message, "logprobs": found}
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 1, "total_tokens": PROMPT_TOKENS + 1}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
    }


def handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with endpoint.lock:
                endpoint.bodies.append(body)
                endpoint.times.append(time.monotonic())
                endpoint.keys.add(self.headers["authorization"])
                self.number = len(endpoint.bodies)
                endpoint.asked.add(self.number)
                endpoint.most_at_once = max(endpoint.most_at_once, len(endpoint.asked))
            try:
                # The client has timed out.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.answer(endpoint.faults(self.number, body), body)
            finally:
                self.is_answered()

        def is_answered(self) -> None:
            with endpoint.lock:
                endpoint.asked.discard(self.number)

        def handle(self) -> None:
            # After a reset nothing can be flushed.
            with contextlib.suppress(ValueError, OSError):
                super().handle()

        def answer(self, fault: str | None, body: dict[str, Any]) -> None:
            if fault == "hang":
                time.sleep(HANG)
                return
            if fault and fault.partition(" ")[0].isdigit():
                status, _, retry_after = fault.partition(" ")
                headers = {"retry-after": retry_after} if retry_after else {}
                said = self.headers["authorization"]  # some servers repeat the key
                self.reply(int(status), json.dumps({"error": {"message": f"no: {said}"}}), headers)
                return
            status, found = endpoint.model(body) if endpoint.model else (200, self.verdict(fault, body))
            if fault == "no usage":
                del found["usage"]
            if fault == "no choices":
                found["choices"] = []
            if fault == "wrong schema":
                found["choices"][0]["logprobs"] = {"content": [{"top_logprobs": "m"}]}
            text = json.dumps(found)
            if fault == "reset":
                self.reset()
                return
            if fault == "breaks off":
                self.break_off(text)
                return
            self.reply(status, text[:40] if fault == "truncated" else text, {})

        def verdict(self, fault: str | None, body: dict[str, Any]) -> dict[str, Any]:
            top = {"no logprobs": None, "mute": [{"token": "The", "logprob": -0.1, "bytes": None}]}
            return completion(body, top[fault] if fault in top else logprobs(content(body)))

        def reply(self, status: int, text: str, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            # After the last byte the client may send its next request before this thread continues.
            self.is_answered()
            self.wfile.write(text.encode())

        def break_off(self, text: str) -> None:
            """Send the beginning of an answer whose headers promise more."""
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text[:30].encode())
            self.wfile.flush()
            self.reset()

        def reset(self) -> None:
            """End the connection by a TCP reset."""
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            # The handler's own files keep the socket open otherwise.
            for end in (self.wfile, self.rfile, self.connection):
                with contextlib.suppress(OSError):
                    end.close()
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def running() -> Iterator[Endpoint]:
    """Run the endpoint while the block runs."""
    endpoint = Endpoint("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(endpoint))
    server.daemon_threads = True
    server.block_on_close = False
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
