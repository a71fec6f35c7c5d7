"""The study of docs/study: every arm's configuration loads, and claims are about models of arms."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from factories import ROOT

from lidr import config
from lidr.records.languages import english_name
from lidr.records.prompt_templates import translation_conversation

sys.path.insert(0, str(ROOT / "docs" / "study"))
import arms
import exact_translator

STUDY = arms.study()


def settings_of(arm: str, folder: Path) -> config.Settings:
    path = folder / "params.yaml"
    shutil.copyfile(ROOT / "profiles" / f"{STUDY.profile}.yaml", path)
    apply_overrides(path, STUDY.values(arm))
    return config.load(path)


@pytest.mark.parametrize("arm", STUDY.arms)
def test_an_arm_is_a_configuration_that_loads(arm: str, tmp_path: Path) -> None:
    settings = settings_of(arm, tmp_path)
    assert not settings.harness.tasks
    made = {model for claim in STUDY.claims for name, model in (claim.better, claim.than) if name == arm}
    assert made <= set(settings.models)


def test_claims_are_about_languages_and_arms_of_the_study() -> None:
    assert {claim.languages for claim in STUDY.claims} <= set(STUDY.languages)
    assert {name for claim in STUDY.claims for name, _ in (claim.better, claim.than)} <= set(STUDY.arms)


def asked(text: str, source: str, target: str) -> str:
    (turn,) = translation_conversation("v1", text, english_name(source), english_name(target), primed=False)
    return exact_translator.reply(turn["content"])


def test_the_exact_translator_keeps_the_mistakes_of_an_answer() -> None:
    wrong = "The larger number is 5, because 5 is more than 54."
    there = asked(wrong, "en", "es")
    assert there.startswith("<translated>") and there.endswith("</translated>")
    spanish = there.removeprefix("<translated>").removesuffix("</translated>")
    assert spanish != wrong
    assert asked(spanish, "es", "en") == f"<translated>{wrong}</translated>"


def test_a_text_that_is_no_answer_has_no_translation() -> None:
    assert asked("The larger number is.", "en", "es") == ""
    assert exact_translator.reply("Translate this, please.") == ""
