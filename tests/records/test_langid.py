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


CODE = "```python\n# count the eggs that the ducks lay every day\nprint(sum(eggs))  # all of them\n```"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_language_is_told_from_the_others(lang: str) -> None:
    for asked in LANGUAGES:
        assert identify(TEXTS[lang], asked, LANGUAGES) == lang
        assert is_off_target(TEXTS[lang], asked, LANGUAGES) == (lang != asked)


def test_english_and_neighbours_are_seen_though_no_candidates() -> None:
    assert is_off_target(TEXTS["en"], "th", ["th", "zh"])
    text = "A resposta está certa: os patos da menina põem dezesseis ovos por dia."
    assert identify(text, "es", ["es", "en"]) == "pt"
    assert identify(TEXTS["zh"], "de", ["de", "en"]) == "zh"
    assert not is_off_target(TEXTS["sw"], "sw", ["de"])
    assert is_off_target(f'"{TEXTS["en"]}"', "de", LANGUAGES)


def test_digits_formulas_and_code_do_not_count() -> None:
    calculation = r"\[ \frac{16 - 3 - 4}{2} \times 2 = \boxed{18} \] $\text{so}$ 12345 ๑๒๓"
    assert identify(calculation, "fr", LANGUAGES) is None
    assert identify(calculation + TEXTS["fr"], "fr", LANGUAGES) == "fr"
    assert identify(f"Hier ist die Funktion:\n{CODE}", "de", LANGUAGES) == "de"
    assert identify(r"The answer is \boxed{\frac{1}{2}}", "es", LANGUAGES) == "en"


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("de", ""),
        ("de", "18"),
        ("de", "18 dollars"),
        ("de", "十八。"),
        ("de", "\n\t $ 18 $"),
        ("de", CODE),
        ("de", '{"name": "John", "age": 30, "city": "New York"}'),
        ("de", '{\n  "name": "John Smith",\n  "work": "engineer at the company"\n}'),
        ("de", "www.example.com/how/to/count/apples"),
        ("de", "example.com/how/to/count/apples/and/pears"),
        ("ja", "東京都千代田区永田町一丁目七番一号"),
    ],
)
def test_too_few_letters_code_and_ideographs_alone_are_not_judged(lang: str, text: str) -> None:
    assert identify(text, lang, (*LANGUAGES, "ja")) is None
    assert not is_off_target(text, lang, LANGUAGES)


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("de", "DNA, RNA, ATP, NADH, FADH2"),
        ("es", "Harry Potter"),
        ("pt", "Resposta: 18 dólares"),
        ("fr", "Total: 18 dollars"),
        ("it", "Restano 18 mele"),
        ("zh", "東京都千代田区永田町一丁目七番一号"),
    ],
)
def test_names_and_short_answers_are_not_taken_for_another_language(lang: str, text: str) -> None:
    assert not is_off_target(text, lang, ("en", "es", "de", "fr", "ru", "it", "pt"))


def test_codes_with_script_or_region_and_other_names() -> None:
    assert identify(TEXTS["zh"], "zh-Hant", ["zh-Hant", "ja"]) == "zh"
    assert not is_off_target(TEXTS["es"], "es-MX", ["es-MX", "en"])
    assert is_supported("nb") and is_supported("pt_BR")


def test_a_language_that_is_not_known_is_said_so() -> None:
    assert not is_supported("tlh")
    with pytest.raises(InputError, match=r"does not know the language 'tlh'"):
        identify("anything at all that is long enough", "en", ["tlh", "en"])
    with pytest.raises(InputError, match="off-target rate cannot be measured"):
        is_off_target("anything at all that is long enough", "tlh", ["en"])


@pytest.mark.parametrize(("letters", "wrong", "missed"), [(None, 0, 10), (40, 1, 206)])
def test_accuracy_on_published_questions(letters: int | None, wrong: int, missed: int) -> None:
    """Each question asked for in its language and in the ten others."""
    folder = os.environ.get("LIDR_PAPER_DATA")
    if not folder:
        pytest.skip("LIDR_PAPER_DATA names no folder with MGSM's published problems")
    texts = [
        (json.loads(line)["query"][:letters], lang)
        for lang in LANGUAGES
        for line in (Path(folder) / "mgsm" / f"mgsm_{lang}.jsonl").read_text(encoding="utf-8").splitlines()[::5]
    ]
    assert len(texts) == 550
    assert sum(is_off_target(text, lang, LANGUAGES) for text, lang in texts) <= wrong
    found = [identify(text, asked, LANGUAGES) == lang for text, lang in texts for asked in LANGUAGES if asked != lang]
    assert found.count(False) <= missed
