"""Language identification: what is stripped, when it abstains, which languages it knows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lidr.errors import InputError
from lidr.records.langid import identify, is_off_target, is_supported

LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")

TEXTS = {
    "bn": "জেনেটের হাঁসগুলি প্রতিদিন ষোলটি করে ডিম পাড়ে।",
    "de": "Janets Enten legen jeden Tag sechzehn Eier und sie verkauft den Rest.",
    "en": "Janet's ducks lay sixteen eggs every day and she sells the rest.",
    "es": "Los patos de Janet ponen dieciséis huevos todos los días y vende el resto.",
    "fr": "Les canes de Janet pondent seize œufs par jour et elle vend le reste.",
    "ja": "ジャネットのアヒルは毎日十六個の卵を産み、残りを売ります。",
    "ru": "Утки Джанет несут шестнадцать яиц каждый день, остальное она продаёт.",
    "sw": "Bata wa Janet hutaga mayai kumi na sita kila siku na yeye huuza yaliyobaki.",
    "te": "జానెట్ బాతులు ప్రతిరోజూ పదహారు గుడ్లు పెడతాయి.",
    "th": "เป็ดของเจเน็ตออกไข่วันละสิบหกฟองและเธอขายส่วนที่เหลือ",
    "zh": "珍妮特的鸭子每天下十六个蛋，她把剩下的蛋都卖掉。",
}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_language_is_told_from_the_others(lang: str) -> None:
    assert identify(TEXTS[lang], LANGUAGES) == lang
    assert not is_off_target(TEXTS[lang], lang, LANGUAGES)
    assert is_off_target(TEXTS[lang], "de" if lang != "de" else "en", LANGUAGES)


def test_english_and_neighbours_are_seen_though_no_candidates() -> None:
    assert is_off_target(TEXTS["en"], "th", ["th", "zh"])
    assert identify("A resposta está certa: os patos da menina põem dezesseis ovos por dia.", ["es", "en"]) == "pt"


def test_the_language_asked_for_is_always_a_candidate() -> None:
    assert not is_off_target(TEXTS["sw"], "sw", ["de"])


def test_digits_and_latex_do_not_count() -> None:
    calculation = r"\[ \frac{16 - 3 - 4}{2} \times 2 = \boxed{18} \] $\text{so}$ 12345 ๑๒๓"
    assert identify(calculation, LANGUAGES) is None
    assert identify(calculation + TEXTS["fr"], LANGUAGES) == "fr"


@pytest.mark.parametrize("text", ["", "18", "18 dollars", "答案是十八。", "\n\t $ 18 $"])
def test_too_few_letters_are_not_judged(text: str) -> None:
    assert identify(text, LANGUAGES) is None
    assert not is_off_target(text, "de", LANGUAGES)


def test_codes_with_script_or_region_and_other_names() -> None:
    assert identify(TEXTS["zh"], ["zh-Hant", "ja"]) == "zh"
    assert not is_off_target(TEXTS["es"], "es-MX", ["es-MX", "en"])
    assert is_supported("nb") and is_supported("pt_BR")


def test_a_language_that_is_not_known_is_said_so() -> None:
    assert not is_supported("tlh")
    with pytest.raises(InputError, match=r"does not know the language 'tlh'"):
        identify("anything at all that is long enough", ["tlh", "en"])
    with pytest.raises(InputError, match="off-target rate cannot be measured"):
        is_off_target("anything at all that is long enough", "tlh", ["en"])


@pytest.mark.parametrize(("letters", "accuracy"), [(None, 0.999), (40, 0.998)])
def test_accuracy_on_published_questions(letters: int | None, accuracy: float) -> None:
    folder = os.environ.get("LIDR_PAPER_DATA")
    if not folder:
        pytest.skip("LIDR_PAPER_DATA names no folder with MGSM's published problems")
    right = [
        identify(json.loads(line)["query"][:letters], LANGUAGES) == lang
        for lang in LANGUAGES
        for line in (Path(folder) / "mgsm" / f"mgsm_{lang}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(right) == 2_750
    assert sum(right) / len(right) >= accuracy
