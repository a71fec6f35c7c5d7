"""Code-switching by sentence: what is stripped, when it abstains, false positives, and accuracy."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lidr.lab import world
from lidr.records.code_switching import Sentence, Sentences, count, sentences

LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
ENGLISH = "She sells the rest of the eggs every day."


@pytest.mark.parametrize(
    ("lang", "own"),
    [
        ("bn", "জেনেটের হাঁসগুলি প্রতিদিন ষোলটি করে ডিম পাড়ে।"),
        ("de", "Janets Enten legen jeden Tag sechzehn Eier."),
        ("es", "Los patos ponen dieciséis huevos todos los días."),
        ("ja", "アヒルは毎日十六個の卵を産みます。"),
        ("ru", "Утки несут шестнадцать яиц каждый день!"),
        ("th", "เป็ดของเจเน็ตออกไข่วันละสิบหกฟอง"),
        ("zh", "鸭子每天下十六个蛋，她把剩下的蛋都卖掉。"),
    ],
)
def test_a_sentence_of_another_language_is_found_where_it_stands(lang: str, own: str) -> None:
    assert count(own, lang, LANGUAGES) == (1, 0)
    assert sentences(f"{own} {ENGLISH}", lang, LANGUAGES) == [Sentence(own, False), Sentence(ENGLISH, True)]
    assert count(f"{ENGLISH}\n{own}", lang, LANGUAGES) == (2, 1)


def test_a_clause_in_another_script_is_a_sentence_of_its_own() -> None:
    text = "เป็ดของเจเน็ตออกไข่ so she sells the rest of the eggs และเธอขายส่วนที่เหลือ"
    assert [s.text for s in sentences(text, "th", LANGUAGES) if s.other] == ["so she sells the rest of the eggs"]


@pytest.mark.parametrize(
    ("lang", "text", "judged"),
    [
        ("ja", "彼はPythonとTensorFlowでコードを書く。", 1),  # loan words
        ("ja", "東京都新宿区西新宿二丁目八番一号", 0),  # kanji alone
        ("ja", "東京都千代田区永田町一丁目七番一号衆議院第一議員会館", 0),
        ("ko", "大韓民國 서울特別市에 사는 사람들이 많습니다.", 1),
        ("zh", "珍妮の店每天都卖很多鸭蛋。", 1),  # an ornament
        ("th", "เธอใช้ machine learning และ Microsoft Excel ในการทำงาน", 1),
        ("ru", "Он читает «Harry Potter and the Goblet of Fire» каждый вечер.", 1),
        ("de", 'Wir machen ein Brainstorming im Meeting zu "The Lord of the Rings".', 1),
        ("en", "Juan Carlos Rodríguez García lives in San Sebastián.", 0),  # judged without its names, if at all
        ("de", "Call to Action:\n- Middleware\n- Get on the Bus\n\nDas ist der ganze Plan für morgen.", 2),
        ("ru", "The Lord of the Rings\nMicrosoft Excel", 0),
    ],
)
def test_names_loan_words_titles_and_kanji_are_no_other_language(lang: str, text: str, judged: int) -> None:
    assert count(text, lang, (*LANGUAGES, lang)) == (judged, 0)


def test_simplified_and_long_ideographs_are_chinese_where_japanese_is_asked_for() -> None:
    assert count("珍妮特的鸭子每天下十六个蛋。", "ja", LANGUAGES) == (1, 1)
    assert count("我昨天早上在市場上賣掉所有雞蛋之後就和朋友一起回家了。", "ja", LANGUAGES) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "18",
        "**18** dollars",
        "```python\nprint('the answer is what we print here')\n```",
        "```\nan open block of words that goes on and on",
        "import numpy as np\nfor item in items:\n    print(item)\nresult = sum(the_items)",
        r"\[ \text{number of all the items} = 34 + 25 \] $x_1 = \text{the first of them}$",
        "https://example.com/how/to/count/all/the/apples",
        '{"name": "the first of all the apples"}',
    ],
)
def test_short_texts_code_formulas_and_links_abstain(text: str) -> None:
    assert count(text, "de", LANGUAGES) == Sentences(judged=0, other=0)


def test_it_finds_more_than_one_label_on_the_labs_texts() -> None:
    language = _document()
    texts, languages = language.lab_texts(), world.languages()
    found, label = language.by_sentence(texts, languages), language.by_label(texts, languages)
    totals = {lang: (c.found, c.missed, c.false) for lang, c in found.items()}
    assert totals == {
        "de": (187, 23, 0),
        "en": (171, 39, 0),
        "es": (180, 30, 0),
        "fr": (181, 29, 0),
        "it": (183, 27, 0),
        "pt": (186, 24, 2),
        "ru": (208, 2, 0),
    }
    for lang in languages:
        assert found[lang].precision > label[lang].precision
        assert found[lang].recall > label[lang].recall
        assert found[lang].error < 0.5 * label[lang].error


def test_it_finds_nearly_all_in_published_questions() -> None:
    folder = os.environ.get("LIDR_PAPER_DATA")
    if not folder:
        pytest.skip("LIDR_PAPER_DATA names no folder with MGSM's published problems")
    language = _document()
    for lang, counts in language.by_sentence(language.mgsm_texts(Path(folder)), language.MGSM).items():
        assert counts.precision >= 0.99 and counts.recall >= 0.96, lang


def _document() -> ModuleType:
    """The module docs/language.py, which makes the labelled texts and the document's tables."""
    path = Path(__file__).resolve().parents[2] / "docs" / "language.py"
    spec = importlib.util.spec_from_file_location("language", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
