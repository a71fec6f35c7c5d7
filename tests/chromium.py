"""Opens a page in headless Chromium and records its DOM, console and requests."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium (Debian's package `chromium`)")

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "</textarea></script><!-- <script> ]]> {{ 7 * 7 }} ${7*7}",
    "right \u202e to left \u2066 and \u200f marks \u0000 \u001b[31m \u2028 end",
    "x" * 100_000,
    '"quotes" \\u003c & &amp; &lt;b&gt; \U0001f600 é',
]


@dataclass(frozen=True)
class Visit:
    """The page's final DOM, console messages and requests."""

    dom: str
    console: list[str]
    requests: list[str]


def visit(page: Path, folder: Path, fragment: str = "") -> Visit:
    """Open a page in headless Chromium; the browser's own requests for updates have no page as initiator."""
    log = folder / "net.json"
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--v=0", f"--log-net-log={log}"]
    done = subprocess.run(
        [*command, "--dump-dom", f"{page.resolve().as_uri()}{fragment}"],
        capture_output=True, text=True, timeout=240, check=True, encoding="utf-8",
    )  # fmt: skip
    events: list[dict[str, Any]] = [e.get("params", {}) for e in json.loads(log.read_text(encoding="utf-8"))["events"]]
    requests = [e["url"] for e in events if "url" in e and e.get("initiator", "not an origin") != "not an origin"]
    return Visit(done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line], requests)


def drive(page: Path, script: str) -> Path:
    """A copy of the page with a script that acts as a user and writes what it sees to the title."""
    copy = page.with_name("driven.html")
    body = page.read_text(encoding="utf-8").replace(
        "</body>", f"<script>document.title = (() => {{{script}}})();</script></body>"
    )
    copy.write_text(body, encoding="utf-8")
    return copy


def title(seen: Visit) -> str:
    found = re.search(r"<title>(.*?)</title>", seen.dom, re.DOTALL)
    assert found
    return html.unescape(found[1])
