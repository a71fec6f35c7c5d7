"""Profiles: the changes by `use`, and the pointers to a profile's data."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import ROOT

from lidr import config, profiles
from lidr.cli import main

PAPER = [
    "alpagasus.dvc",
    "mgsm.dvc",
    "translation_instructions.jsonl.dvc",
    "x-alpacaeval-outputs.dvc",
    "x-alpacaeval-prompts.dvc",
]


@pytest.fixture
def project(root: Path) -> Path:
    shutil.copytree(ROOT / "profiles", root / "profiles")
    return root


def use(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["profile", "use", *arguments])


def placed(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "data/sources").glob("*.dvc"))


NEEDED = {
    "lab": [],
    "small": [name for name in PAPER if name != "x-alpacaeval-outputs.dvc"],
    "paper": PAPER,
    "paper-reasoning": [name for name in PAPER if name.startswith(("mgsm", "x-"))],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml")))
def test_profile_brings_the_pointers_that_it_needs(project: Path, name: str) -> None:
    result = use(name)
    assert result.exit_code == 0, result.output
    assert config.load().profile == name
    assert placed(project) == NEEDED[name]
    hint = f"dvc pull {' '.join(f'data/sources/{pointer}' for pointer in NEEDED[name])}"
    assert (hint in result.output) == bool(NEEDED[name])
    for pointer in NEEDED[name]:
        shipped = ROOT / "profiles/sources" / pointer
        assert (project / "data/sources" / pointer).read_bytes() == shipped.read_bytes()


def test_pointers_go_with_their_profile_but_not_those_that_were_changed(project: Path) -> None:
    use("paper")
    edited = project / "data/sources/mgsm.dvc"
    edited.write_text(edited.read_text().replace("bd9764e", "0000000"))
    (project / "data/sources/mine.dvc").write_text("outs: []\n")
    use("lab")
    assert placed(project) == ["mgsm.dvc", "mine.dvc"]
    use("paper")
    assert "0000000" in edited.read_text()


def test_data_that_is_there_is_not_asked_for(project: Path) -> None:
    for name in NEEDED["small"]:
        (project / "data/sources" / name).with_suffix("").mkdir(parents=True)
    assert "  dvc pull" not in use("small").output


def test_what_dvc_cannot_watch_is_refused(project: Path) -> None:
    text = (project / "profiles/small.yaml").read_text()
    wrong = re.sub(r"  translation_requests: .*", "  translation_requests: data/ids.jsonl", text)
    (project / "profiles/wrong.yaml").write_text(wrong)
    line = 1 + wrong.splitlines().index("  translation_requests: data/ids.jsonl")
    assert use("wrong").output == (
        f"Error: profiles/wrong.yaml:{line}: prompts.translation_requests: 'data/ids.jsonl' lies outside of "
        "data/sources, where DVC would miss changes\n"
    )


def test_the_configuration_of_the_real_model_s_run_is_valid() -> None:
    assert config.load(ROOT / "docs" / "real_model" / "params.yaml").profile == "real-model"


def test_shipped_pointers_are_hidden_from_dvc() -> None:
    assert "/profiles/sources" in (ROOT / ".dvcignore").read_text().splitlines()
    assert [path.name for path in sorted((ROOT / "profiles/sources").iterdir())] == PAPER
    assert profiles.pointers(config.load(ROOT / "params.yaml")) == []
