"""The promises of SECURITY.md: no pickle, no code from models, no unpacking, safe YAML, no secrets written.

The tests read the code as text, and the stages' outputs as bytes.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from factories import ROOT, edited
from fake_endpoint import content, running
from published import configure, output_rows, prompt_rows, write

from lidr import config

SOURCES = sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "docs").glob("*.py"))

TEMPLATES = ROOT / "src/lidr/templates"

# Unsafe calls that no ruff rule covers; `make check` finds the others by the rules in pyproject.toml.
DOORS = re.compile(
    r"""trust_remote_code\s*=\s*True|weights_only\s*=\s*False|use_safetensors\s*=\s*False|safe_serialization\s*=\s*False
    |allow_pickle\s*=\s*True|autoescape\s*=\s*False|verify\s*=\s*False|typ\s*=\s*["']unsafe|["']::["']
    |(?<![\w.])(?:compile|__import__)\(""",
    re.VERBOSE,
)


def test_the_code_opens_no_door() -> None:
    assert {path: found for path in SOURCES if (found := DOORS.findall(path.read_text("utf-8")))} == {}


def test_every_template_escapes() -> None:
    """Only our plots by matplotlib are marked as safe, which `test_hostile_texts_stay_texts` of the figures tests.

    The tests of that name of each page check that all else is escaped.
    """
    texts = [path.read_text("utf-8") for path in [*SOURCES, *TEMPLATES.iterdir()] if path.is_file()]
    marked = {match for text in texts for match in re.findall(r"[^{]*\|\s*safe\b|Markup\(|autoescape false", text)}
    assert {" ".join(match.split()) for match in marked} == {"plots[name] | safe", "plots[benchmark.name] | safe"}


def test_scripts_make_no_html_of_texts() -> None:
    text = (TEMPLATES / "lidr.js").read_text("utf-8")
    for door in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert door not in text, door


@pytest.mark.parametrize("profile", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_remote_code_is_off_in_every_profile(profile: Path) -> None:
    assert config.load(profile).base.trust_remote_code is False


@pytest.mark.pipeline
def test_saved_models_hold_no_pickle(root: Path) -> None:
    """The files that `lidr base` copies from a folder with pickles, and the bundled base."""
    from lidr.models import base

    shipped = ROOT / "src/lidr/lab/base"
    source, target = root / "source", root / "target"
    shutil.copytree(shipped, source)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "model.pkl", "tokenizer.pkl", "x.ckpt"):
        (source / name).write_bytes(b"\x80\x04\x95\x00.")
    (root / "params.yaml").write_text(edited(("  model: lab ", "  model: source ")), "utf-8")
    base.run(config.load(), target)
    for folder in (shipped, target):
        for path in folder.rglob("*"):
            assert path.suffix in {".safetensors", ".json", ".jinja", ".md"}, path
            assert path.read_bytes()[:2] not in {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"}, path


def test_the_lock_pins_every_file_by_its_hash() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.lock").read_text("utf-8"))
    pinned = [block for block in blocks if re.match(r"[a-z0-9][\w.-]*(\[[\w,-]+\])?==", block)]
    assert len(pinned) > 150
    assert [block.splitlines()[0] for block in pinned if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)] == []
    text = (ROOT / "Makefile").read_text("utf-8")
    assert "--require-hashes -r requirements.lock" in text and "--no-deps" in text


# --- secrets ---------------------------------------------------------------------------------------------------------

SECRETS = {
    name: f"mark-{number}-{name.lower().replace('_', '')}-9d1f"
    for number, name in enumerate(
        [
            "OPENAI_API_KEY",
            "LIDR_JUDGE_KEY",
            "HF_TOKEN",
            "MLFLOW_TRACKING_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
        ]
    )
}


TELEMETRY_SWITCHES = ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK")


def lidr(*commands: str) -> subprocess.CompletedProcess[bytes]:
    """Run the commands in one process."""
    environment = os.environ | SECRETS | {"NO_PROXY": "127.0.0.1"}
    environment = {name: v for name, v in environment.items() if name not in ("LIDR_TRACKING", "MLFLOW_TRACKING_URI")}
    code = "import sys\nfrom lidr.cli import main\n"
    code += "for command in sys.argv[1:]:\n    main(command.split(), prog_name='lidr', standalone_mode=False)\n"
    return subprocess.run([sys.executable, "-c", code, *commands], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize(("wanted", "off"), [({}, "True"), ({"HF_HUB_DISABLE_TELEMETRY": "0"}, "False")])
def test_the_hub_is_not_told_what_is_trained_unless_it_is_wanted(wanted: dict[str, str], off: str) -> None:
    code = (
        "from lidr.cli import main\nmain(['profile', 'list'], standalone_mode=False)\n"
        "from huggingface_hub import constants\nprint(constants.HF_HUB_DISABLE_TELEMETRY)"
    )
    environment = {name: v for name, v in os.environ.items() if name not in TELEMETRY_SWITCHES} | wanted
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == off


def test_secrets_are_written_nowhere(root: Path) -> None:
    """Commands that use a key, fail with it, and get it back from the endpoint; with MLflow, and --debug."""
    write(Path("data/sources/p/es.json"), prompt_rows())
    for name in ("gpt-4", "gpt-3", "gpt-2"):
        outputs = [row | {"output": f"{name} {row['id']}"} for row in output_rows(generator=name)]
        write(Path(f"data/sources/o/es/{name}/model_outputs.json"), outputs)
    with running() as endpoint:
        judge = f"name: openai\n    model: judge-1\n    endpoint: {endpoint.url}\n    concurrency: 1\n    retries: 0"
        configure(Path("data/sources/p"), Path("data/sources/o"), "gpt-4", 3, judge)
        endpoint.faults = lambda number, body: "401" if "gpt-2" in content(body) else None
        alpaca = "alpaca {} --outputs data/sources/o"
        done = lidr("baseline", alpaca.format("gpt-3"), f"--debug {alpaca.format('gpt-2')}")
        said = done.stdout + done.stderr
        assert done.returncode == 1, said.decode()
        assert endpoint.keys == {f"Bearer {SECRETS['LIDR_JUDGE_KEY']}"}
    assert b"status 401" in said and b"Traceback" in said
    written = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert root / "reports/judged/gpt-3-against-gpt-4/index.html" in written
    with sqlite3.connect(root / "mlflow.db") as store:
        assert store.execute("select count(*) from runs").fetchone()[0] >= 3
    for secret in SECRETS.values():
        assert secret.encode() not in said
        assert [path for path, content in written.items() if secret.encode() in content] == []
