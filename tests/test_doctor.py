"""`lidr doctor` on this machine, and on one that lacks something."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from clones import git
from factories import ROOT, edited, own_prompts, prompt

from lidr import config, doctor
from lidr.cli import main
from lidr.engines.settings import OpenAI
from lidr.errors import LidrError
from lidr.evaluation.alpaca import Alpaca
from lidr.models import folder as model
from lidr.records.jsonl import write_rows


def findings(settings: config.Settings) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine(settings)}


def profile(name: str) -> config.Settings:
    return config.load(ROOT / f"profiles/{name}.yaml")


def test_lab_in_a_project_needs_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = findings(profile("lab"))
    assert {name for name, finding in found.items() if finding.is_there is False} <= {"packages", "disk"}
    assert [found[name].detail for name in ("base", "engine")] == ["lab", "transformers"]
    assert not {"prompts", "mgsm", "judge"} & found.keys()


def test_folder_that_is_no_project(root: Path) -> None:
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "miss  git           no repository with a commit" in result.output
    assert "miss  dvc           no .dvc and dvc.yaml; run lidr in its root" in result.output
    assert result.output.splitlines()[-1].endswith("missing; see the lines that begin with `miss`")
    assert [path.name for path in root.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("name", ["wh?at", "ü"])
def test_folder_in_which_dvc_cannot_run_experiments_elsewhere(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name / ".dvc").mkdir(parents=True)
    (tmp_path / name / "dvc.yaml").touch()
    monkeypatch.setattr(doctor.shutil, "which", lambda _: "dvc")
    monkeypatch.chdir(tmp_path / name)
    found = findings(profile("lab"))["dvc"]
    assert found.is_there is None
    assert found.detail.endswith(
        "; DVC's queued and temporary experiments need a path without ?, # and letters beyond ASCII; all else works"
    )


def test_what_the_paper_s_run_needs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gated(*_: object) -> Path:
        raise LidrError("meta-llama/Meta-Llama-3-8B-Instruct is gated: accept its licence")

    monkeypatch.setattr(model, "from_hub", gated)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (root / "profiles").symlink_to(ROOT / "profiles")
    found = findings(profile("paper"))
    assert found["base"] == doctor.Finding(
        "base", False, "meta-llama/Meta-Llama-3-8B-Instruct is gated: accept its licence"
    )
    assert found["prompts"].detail == ("data/sources/alpagasus is not here: `dvc pull data/sources/alpagasus.dvc`")
    assert found["baseline"].detail.endswith("`dvc pull data/sources/x-alpacaeval-outputs.dvc`")
    assert found["judge"].is_there is False
    assert found["judge"].detail == (
        "https://api.openai.com/v1; OPENAI_API_KEY is not set in the environment; api.openai.com expects a key"
    )
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    (root / "data/sources/alpagasus").mkdir(parents=True)
    found = findings(profile("paper"))
    assert found["judge"].is_there
    # The folder is there, and empty.
    assert found["prompts"].detail.startswith("data/sources/alpagasus: no prompts in 'en'; en.jsonl is expected")
    listed = "data/sources/translation_instructions.jsonl"
    assert found["prompts.translation_requests"].detail == f"{listed} is not here: `dvc pull {listed}.dvc`"
    assert "secret" not in "".join(finding.line() for finding in found.values())


@pytest.mark.usefixtures("root")
def test_a_user_s_own_files_are_read() -> None:
    source = Path("data/sources/own")
    Path("params.yaml").write_text(edited(own_prompts(source)), "utf-8")
    settings = config.load()
    for lang in settings.all_languages:
        write_rows(source / f"{lang}.jsonl", [prompt("a", lang)])
    git("init", "-q")
    git("commit", "-qm", "x", "--allow-empty")
    lacking = "; clones and queued experiments lack it until `dvc add data/sources/own`"
    assert findings(settings)["prompts"] == doctor.Finding("prompts", True, f"{source}{lacking}")
    Path("data/sources/own.dvc").touch()
    assert findings(settings)["prompts"] == doctor.Finding("prompts", True, f"{source}")
    (source / "es.jsonl").unlink()
    detail = f"{source}: no prompts in 'es'; es.jsonl is expected, or with another ending of .jsonl, "
    assert findings(settings)["prompts"].detail.startswith(detail)


def test_the_audit_s_judge_is_looked_at_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "from_hub", lambda *_: Path())
    monkeypatch.delenv("LIDR_JUDGE_KEY", raising=False)
    paper = profile("paper")
    assert "audit's judge" not in findings(paper)
    judge = msgspec.structs.replace(paper.block(Alpaca).judge, endpoint="http://127.0.0.1:1/v1")
    with_judge = msgspec.structs.replace(paper, audit=msgspec.structs.replace(paper.audit, judge=judge))
    detail = "http://127.0.0.1:1/v1; LIDR_JUDGE_KEY is not set"
    assert findings(with_judge)["audit's judge"] == doctor.Finding("audit's judge", None, detail)


def test_what_stops_a_later_stage_is_looked_at_as_well(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "LIDR_ENGINE_KEY", "LIDR_TRANSLATOR_KEY"):
        monkeypatch.delenv(variable, raising=False)
    (root / "data/sources/tasks").mkdir(parents=True)
    lab = edited(
        ("translate:\n", "translate:\n  model: {endpoint: https://api.openai.com/v1, model: t}\n"),
        ("    by: m1", "    by: m1\n    translate: {model: {endpoint: http://127.0.0.1:1/v1, model: t}}"),
        ("  trust_remote_code: false", "  trust_remote_code: false\n  reference: data/sources/sft"),
        ("  include_path: lab", "  include_path: data/sources/tasks"),
    )
    (root / "params.yaml").write_text(lab, "utf-8")
    settings = config.load()
    engine = OpenAI(endpoint="http://127.0.0.1:2/v1", models={"m0": "base"})
    found = list(doctor.examine(msgspec.structs.replace(settings, engine=engine)))[11:]
    assert found == [
        doctor.Finding("base.reference", False, "data/sources/sft is not here"),
        doctor.Finding("harness.include_path", True, "data/sources/tasks"),
        doctor.Finding("server", None, "http://127.0.0.1:2/v1; LIDR_ENGINE_KEY is not set"),
        doctor.Finding(
            "translator",
            False,
            "https://api.openai.com/v1; OPENAI_API_KEY is not set in the environment; api.openai.com expects a key",
        ),
        doctor.Finding("translator", None, "http://127.0.0.1:1/v1; LIDR_TRANSLATOR_KEY is not set"),
    ]
    (root / "params.yaml").write_text(lab.replace("{endpoint: https://api.openai.com/v1, model: t}", "data/sources/t"))
    assert findings(config.load())["translate.model"].detail == "data/sources/t is not here"


def test_package_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ["click==0.1", "nobody-has-this>=2", "tomli; python_version < '3'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needs)
    detail = doctor._packages(profile("lab")).detail
    assert detail.startswith("click is 8.")
    assert detail.endswith(", ==0.1 is expected; nobody-has-this is not installed")


@pytest.mark.usefixtures("root")
def test_repository_is_named_by_its_commit() -> None:
    git("init", "-q")
    git("commit", "-qm", "x", "--allow-empty")
    assert findings(profile("lab"))["git"].detail == f"at {git('rev-parse', '--short', 'HEAD')}"


@pytest.mark.parametrize("uri", ["http://alice:sekrit@127.0.0.1", "http://alice:sekrit@127.0.0.1:1"])
def test_a_server_s_password_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.delenv("LIDR_TRACKING", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    found = findings(profile("lab"))["mlflow"]
    assert not found.is_there and "sekrit" not in found.line()


def test_a_server_that_asks_for_a_password_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.path == "/health" and self.headers["Authorization"] == "Basic YWxpY2U6c2Vrcml0"
            self.send_response(200 if is_known else 401)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.delenv("LIDR_TRACKING", raising=False)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://alice:sekrit@127.0.0.1:{server.server_port}/")
        assert findings(profile("lab"))["mlflow"].is_there
