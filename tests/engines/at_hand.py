"""The engines that can run in this environment, each on the lab's model, and requests of the contract's tests.

The kind `vllm serve` is the engine `openai` with that server.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lidr import config
from lidr.config.engines import KINDS as KINDS_OF_SETTINGS
from lidr.engines.base import Engine, Request, open_engine
from lidr.lab import source
from lidr.models import policy
from lidr.records.prompt_templates import prompt_conversation

ENGINES = [str(kind.__struct_config__.tag) for kind in KINDS_OF_SETTINGS]
KINDS = ["vllm serve" if kind == "openai" else kind for kind in ENGINES]
CONTEXT = 512

# vLLM's CPU build binds threads by default, which hangs on some processors, and takes half of the memory.
VLLM_ON_CPU = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1"}


@dataclass(frozen=True)
class AtHand:
    """An open engine with its settings."""

    kind: str
    settings: config.Engine
    engine: Engine


def requests(lang: str, count: int, skip: int = 0) -> list[Request]:
    prompts = source.prompts("iterations", lang, count, seed=3, skip=skip).values()
    return [Request(f"{p.id}:{lang}", prompt_conversation(p.text)) for p in prompts]


def engine_settings(name: str, **values: object) -> Any:
    """The engine block on a CPU, with defaults for values that the test does not set."""
    usual = {"tokens_per_batch": 4096} if name == "transformers" else {}
    return msgspec.convert({"name": name, "device": "cpu", **usual, **values}, config.Engine)


def skip_without(library: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed here; see the Makefile's targets for tests")


def skip_without_vllm() -> None:
    skip_without("vllm")
    for name, value in VLLM_ON_CPU.items():
        os.environ.setdefault(name, value)


@contextmanager
def opened(kind: str, models: Path, model: str = "m0") -> Iterator[AtHand]:
    """The engine of this kind, with its server if it needs one, while the block runs."""
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    with ExitStack() as stack:
        if kind == "ray":
            skip_without("ray")
            settings = ray_settings()
        elif kind == "vllm":
            skip_without_vllm()
            options = {"gpu_memory_utilization": 0.5, "max_num_seqs": 32, "max_num_batched_tokens": 4096}
            settings = engine_settings("vllm", vllm={"dtype": "float32", "enforce_eager": True, **options})
        elif kind == "vllm serve":
            skip_without_vllm()
            settings = server_settings(stack.enter_context(vllm_serve(models)))
        else:
            settings = engine_settings(kind)
        engine = stack.enter_context(closing(open_engine(settings, policy.resolve(model, models))))
        yield AtHand(kind, settings, engine)


def ray_settings(**values: object) -> Any:
    held = {"name": "transformers", "tokens_per_batch": 4096}
    return engine_settings("ray", **{"engine": held, "workers": 2, "gpus_per_worker": 0, "rows_per_task": 7, **values})


def server_settings(url: str, takes: str = "vllm", **values: object) -> Any:
    options: dict[str, object] = {"endpoint": url, "models": {"m0": "m0", "m1": "m1"}, "takes": takes}
    options |= {"concurrency": 8, "retries": 2, "timeout_seconds": 300.0}
    return engine_settings("openai", **options | values)


@contextmanager
def vllm_serve(models: Path) -> Iterator[str]:
    """Run `vllm serve` with the base as m0 and its adapter as m1."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("vllm_command.py")), "serve", str(models / "m0")]
    command += ["--served-model-name", "m0"]
    command += ["--enable-lora", "--lora-modules", f"m1={models / 'm1'}", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--max-num-seqs", "32", "--generation-config", "vllm"]
    log = models / "serve.log"
    environment = os.environ | {"VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 400.0) -> None:
    """Wait until the server answers; a failure shows its log."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            opener.open(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"vllm serve did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")
