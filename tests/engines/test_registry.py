"""A new engine is found by its keys, and fingerprints tell engines, their settings and models apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from at_hand import engine_settings, ray_settings, server_settings
from factories import ROOT, edited

from lidr.engines.base import open_engine
from lidr.models.policy import Policy

SETTINGS = '''

class Echo(EngineSettings, frozen=True, kw_only=True, tag="echo"):
    """Says what it is asked."""

    times: int = 1

    def open(self, model):
        from lidr.engines.echo import EchoEngine

        return EchoEngine(self, model)
'''
MODULE = '''"""An engine without a model."""

from lidr.engines.base import Completion, fingerprint_of
from lidr.records import FinishReason


class EchoEngine:
    def __init__(self, settings, model):
        self.settings, self.fingerprint = settings, fingerprint_of(model, "echo")

    def generate(self, requests, sampling, progress):
        said = [self.settings.times * request.conversation[-1]["content"] for request in requests]
        return [
            Completion(id=r.id, text=t, finish_reason=FinishReason.STOP, prompt_tokens=1, completion_tokens=1)
            for r, t in zip(requests, said)
        ]
'''
ASK = """
from pathlib import Path
from lidr import config
from lidr.engines.base import Request, Sampling, open_engine
from lidr.models.policy import Policy

engine = open_engine(config.load().engine, Policy("m0", Path("models/m0"), None, False, "f"))
[found] = engine.generate([Request("a", [{"role": "user", "content": "ha"}])], Sampling(8), lambda count: None)
print(found.text)
"""


def test_an_engine_is_its_module_and_its_keys(tmp_path: Path) -> None:
    package = tmp_path / "src" / "lidr"
    shutil.copytree(ROOT / "src" / "lidr", package, ignore=shutil.ignore_patterns("__pycache__"))
    with (package / "engines" / "settings.py").open("a", encoding="utf-8") as file:
        file.write(SETTINGS)
    (package / "engines" / "echo.py").write_text(MODULE, "utf-8")
    text = edited()
    start, end = text.index("engine:\n"), text.index("\nprompts:\n")
    engine = "engine: {name: echo, device: cpu, times: 2}\n"
    (tmp_path / "params.yaml").write_text(text[:start] + engine + text[end:], "utf-8")
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("haha\n", "")


def test_the_fingerprint_tells_models_and_what_computes_them_apart() -> None:
    first, second = (Policy("m0", Path("models/m0"), None, False, letter * 64) for letter in "ab")
    made = [engine_settings("transformers"), engine_settings("transformers", dtype="bfloat16")]
    made += [engine_settings("vllm"), engine_settings("vllm", vllm={"max_model_len": 64})]
    made += [ray_settings(), ray_settings(rows_per_task=8)]
    made += [server_settings("http://127.0.0.1:1/v1"), server_settings("http://127.0.0.1:2/v1")]
    made += [server_settings("http://127.0.0.1:1/v1", models={"m0": "another"})]
    found = [open_engine(settings, model).fingerprint for settings in made for model in (first, second)]
    assert len(set(found)) == len(found)
    assert found == [open_engine(settings, model).fingerprint for settings in made for model in (first, second)]
