"""Answers as people and models write them: one section a kind, with cases that must stay as they are.

tests/cases/answers-*.jsonl hold answers from public bug reports, each with its source and the number it must give.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lidr import config
from lidr.chat import reasoning
from lidr.evaluation.mgsm import BENCHMARK as MGSM
from lidr.evaluation.mgsm import Mgsm
from lidr.evaluation.mgsm.extraction.notation import in_digits
from lidr.evaluation.mgsm.extraction.run_on import answer_part
from lidr.evaluation.mgsm.extraction.words import _tables, has_words
from lidr.evaluation.mgsm.scorers import extract_answer, lm_eval_flexible

PUBLIC = [
    json.loads(line)
    for path in sorted((Path(__file__).parents[1] / "cases").glob("answers-*.jsonl"))
    for line in path.read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", PUBLIC, ids=[case["name"] for case in PUBLIC])
def test_public_answers_are_read(case: dict) -> None:
    gold = case["gold"]
    assert extract_answer(case["text"], case["lang"]) == (None if gold is None else Decimal(str(gold)))


def check(lang: str, text: str, expected: str | None) -> None:
    assert extract_answer(text, lang) == (None if expected is None else Decimal(expected))


# --- reasoning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opening", "closing"), reasoning.MARKS)
def test_reasoning_of_every_family_is_left_out(opening: str, closing: str) -> None:
    check("de", f"{opening}Die Antwort lautet 12? Nein.{closing}\n\nEs sind 18.", "18")
    check("de", f"{opening}Die Antwort lautet 12", None)
    check("de", f"Sicher. {opening}\\boxed{{12}}{closing} Es sind 18.", "18")


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("ja", "<think>12?</think>答えは18です。", "18"),
        ("th", "<think>คำตอบคือ 12</think>คำตอบคือ 18", "18"),
        ("en", "I think it is 18.", "18"),
        ("en", "The answer is 12.</think>It is 18.", "18"),  # the prompt opened the block
    ],
)
def test_only_what_follows_reasoning_counts(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


# --- units and formulas ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "It releases 18 kg of CO2.", "18"),
        ("en", "18 g per mole of H_2O", "18"),
        ("en", r"$18 \text{ m/s}^{2}$", "18"),
        ("de", "Das sind 18 Tonnen CO2.", "18"),
        ("de", "Die Fläche beträgt 18 km2.", "18"),
        ("es", "El volumen es 18 cm³.", "18"),
        ("fr", "L'aire est de 18 m^2.", "18"),
        ("ru", "Площадь 18 м2.", "18"),
        ("ru", "Площадь 18 см²", "18"),
        ("zh", "面积是18cm2", "18"),
        ("ja", "答えは18cm²です", "18"),
        ("th", "พื้นที่ 18 ซม.²", "18"),
        ("bn", "ক্ষেত্রফল ১৮ মি²", "18"),
        ("en", "CO2 falls. The answer is 18.", "18"),
        ("en", "It costs USD18", "18"),  # a currency's code is no name
        ("sw", "Ni Ksh18", "18"),
        ("en", "9X2=18", "18"),  # a product is no name
        ("de", "Insgesamt18", "18"),
    ],
)
def test_exponents_of_units_and_digits_of_names_are_no_numbers(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2^3", "8"), ("2³", "8"), ("2^{10}", "1024"), ("x^2 = 36, so x = 6", "6"), ("(1+2)^2 = 9", "9"), ("0^0", "0")],
)
def test_exponents_of_numbers_are_powers(text: str, expected: str) -> None:
    check("en", text, expected)


# --- fractions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "It is -2 1/2", "-2.5"),
        ("en", r"\boxed{2\tfrac12}", "2.5"),
        ("en", "The answer is 2 and 3/4 cups", "2.75"),
        ("de", "Die Antwort lautet 2 1/2 Stunden.", "2.5"),
        ("de", "Die Antwort lautet 1 1/8 Liter.", "1.125"),  # not 1125
        ("fr", "La réponse est 2½ heures.", "2.5"),
        ("es", "La respuesta es 2 y 1/2 horas.", "2.5"),
        ("ru", "Ответ — 2 1/2.", "2.5"),
        ("th", "คำตอบคือ ๒½", "2.5"),
        ("zh", "答案是2½。", "2.5"),
        ("ja", "答えは2 ½です。", "2.5"),
        ("te", "సమాధానం 2 1/2", "2.5"),
        ("sw", "Jibu ni 2¼.", "2.25"),
        ("en", "She needs 11 5/6 cups.", "11.83"),  # rounded as people do it
        ("en", "The answer is 17 997/998", str(17 + Decimal(997) / 998)),  # never rounded to a whole number
        ("en", "The answer is 1/2", "0.5"),  # stays
        ("en", "The answer is 5 10/2", "5"),  # stays: no proper fraction
        ("en", "It takes 20-2", "2"),  # stays
        ("de", "Am 12.5.2024 sind es 18", "18"),  # stays: a date
    ],
)
def test_mixed_numbers_and_vulgar_fractions(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("de", "3 + 15 = 18.\n\n**Antwort:** 18 Stifte, also 6 in jeder der 3 Kisten", "18"),
        ("es", "Hay 3 cajas.\nRespuesta: 18 bolígrafos en 3 cajas", "18"),
        ("es", "Respuesta final: 18 bolígrafos en 3 cajas", "18"),
        ("fr", "Il y a 3 boîtes.\nRéponse : 18 stylos dans 3 boîtes", "18"),
        ("ru", "Коробок 3.\nОтвет: 18 ручек в 3 коробках", "18"),
        ("th", "มี 3 กล่อง\nคำตอบ: 18 ด้าม ใน 3 กล่อง", "18"),
        ("zh", "共有3个盒子。\n答案：18支笔，装在3个盒子里", "18"),
        ("sw", "Kuna masanduku 3.\nJibu: 18, kalamu katika masanduku 3", "18"),
        ("de", "Schritte: 4 + 5 = 9.\n\n### Endgültige Antwort\n18 Stifte (3 Kisten)", "18"),
        ("en", "Answer: 18. There are 3 boxes.", "18"),  # '18.' begins no list
        ("en", "Answer: 3 boxes of 6 pens make 18 pens", "18"),  # stays: it heads the reasoning
        ("en", "It has 3 parts.\nAnswer: 16 - 7 = 9 eggs, times 2 is 18", "18"),  # stays: a calculation
        ("en", "It is late.\nAnswer: 12:30", "30"),  # stays: a time
        ("en", "It is late.\nAnswer: 5 May 2024", "2024"),  # stays: a date
        ("en", "It has 3.\nAnswer: 3, 4 and 5", "5"),  # stays: a list
        ("en", "It has 3.\nAnswer: 16 eggs are laid in 1 day.\nSo 9 * 2 = 18", "18"),  # stays: not the last line
    ],
)
def test_a_label_on_the_last_line(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


# --- another problem -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "The answer is 18.\n\nProblem 2: Ben has 4.\nThe answer is 3.", "18"),
        ("en", "It is 18.\n\nHuman: Ben has 4.\n\nAssistant: 3", "18"),
        ("en", "18 pens.<|im_end|>\n<|im_start|>user\nBen has 3.", "18"),
        ("en", "#### 18\n#### 3", "18"),
        ("de", "Es sind 18.\n\nAufgabe: Tom hat 5 Äpfel.", "18"),
        ("es", "Son 18.\n\nProblema: Tomás tiene 5 manzanas.", "18"),
        ("fr", "La réponse est 18.\n\nQuestion 2 : Tom a 5 pommes.\nLa réponse est 5.", "18"),
        ("ru", "Ответ — 18.\n\nЗадача 2: У Тома 5 яблок. Ответ — 5.", "18"),
        ("zh", "答案是18。\n问题2：汤姆有5个。答案是5。", "18"),
        ("bn", "উত্তর হল ১৮।\nপ্রশ্ন ২: টমের ৫টি। উত্তর হল ৫।", "18"),
        ("en", "Question 1: How many? Answer: 9\nQuestion 2: How much? Answer: 18", "18"),  # stays: steps
        ("en", "Question 1: 16 - 7 = 9. Question 2: 9 * 2 = 18.", "18"),  # stays: steps
        ("en", "Human: I have 16.\nAssistant: It is 18.", "18"),  # stays: the question repeated
        ("en", "1. **Problem:** 16 eggs, 7 used.\n2. 9 * 2 = 18", "18"),  # a list's number is no answer
        ("en", "Each user pays 18.", "18"),
    ],
)
def test_another_problem_is_cut_off(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


def test_the_rest_of_the_text_is_kept_as_it_is() -> None:
    text = "Step 1: 9 * 2 = 18.\nThe answer is 18: nine times two."
    assert answer_part(text, "en") == text


# --- scales ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "70k", "70000"),
        ("en", "3.5k", "3500"),
        ("en", "$2.5 million", "2500000"),
        ("en", "2 million + 3 million = 5 million", "5000000"),
        ("en", "2 thousand 500 dollars", "2500"),
        ("en", r"1.8 \times 10^{4}", "18000"),
        ("en", "5e-3", "0.005"),
        ("de", "2,5 Millionen Euro", "2500000"),
        ("de", "1,2345 Tausend", "1234.5"),
        ("de", "1,8 · 10^4", "18000"),
        ("es", "5 mil", "5000"),
        ("es", "100 mil millones", "100000000000"),
        ("fr", "3 milliards", "3000000000"),
        ("ru", "70 тыс. рублей", "70000"),
        ("ru", "2 миллиона", "2000000"),
        ("th", "3 แสนบาท", "300000"),
        ("th", "1 หมื่น 8 พัน", "18000"),
        ("bn", "১ লাখ ১৪ হাজার ২০০", "114200"),
        ("te", "2 లక్షలు", "200000"),
        ("sw", "milioni 2 na elfu 500", "2500000"),
        ("sw", "elfu 18 na 500", "18500"),
        ("zh", "3百万", "3000000"),
        ("zh", "3千5百万元", "35000000"),
        ("zh", "2万千瓦", "20000"),
        ("zh", "1.8×10⁴", "18000"),
        ("ja", "3千5百円", "3500"),
        ("ko", "3만 5천원", "35000"),
        ("it", "5mila", "5000"),
    ],
)
def test_scale_words_and_powers_of_ten(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("fr", "5 000 dollars", "5000"),
        ("en", "18%", "18"),
        ("en", "a 5k race", "5"),
        ("en", "18 millions-of-years-old", "18"),
        ("en", "12:30", "30"),
        ("fr", "18 milles", "18"),
        ("th", "18 พันธุ์", "18"),
        ("bn", "১৮ শতাংশ", "18"),
        ("zh", "5千米", "5"),
        ("zh", "3百分点", "3"),
        ("en", "In 2 million 18 of them", "18"),  # not below the last scale: a number of its own
        ("en", "2 million 3 million", "3000000"),
    ],
)
def test_what_only_looks_like_a_scale_stays(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


@given(
    st.integers(1, 999), st.sampled_from([(lang, w, p) for lang, t in _tables().items() for w, p in t.scales.items()])
)
@settings(max_examples=200, deadline=None)
def test_every_scale_word_is_read(number: int, scale: tuple[str, str, int]) -> None:
    lang, word, power = scale
    assert in_digits(f"{number} {word}", lang) == str(number * 10**power)


# --- tags and boxes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", r"<answer>\boxed{18}</answer> for 3", "18"),
        ("en", "<answer>18", "18"),
        ("de", "<answer>Es sind 9 * 2 = 18 in 3 Kisten. Die Antwort lautet 18.</answer> 5", "18"),
        ("fr", "<answer>18 stylos dans 3 boîtes</answer>", "18"),
        ("zh", "<answer>一共有16个，16-7=9，9×2=18</answer>3", "18"),
        ("en", "<answer>unknown</answer> The answer is 18.", "18"),
        ("en", "<answer>3</answer> <answer>18</answer>", "18"),
        ("en", "#### 18 <answer>3</answer>", "18"),
    ],
)
def test_tags(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", r"\boxed{2}. Wait, that's wrong. 3 * 1 = 3, so it is 3.", "3"),
        ("de", r"\boxed{2}. Moment, das ist falsch: es sind 3.", "3"),
        ("es", r"\boxed{2}. Espera, me equivoqué. La respuesta es 3.", "3"),
        ("ru", r"\boxed{2}. Подождите, это неверно. Ответ — 3.", "3"),
        ("zh", r"\boxed{2}。等等，不对。3×1=3。", "3"),
        ("sw", r"\boxed{2}. Subiri, nimekosea. Jibu ni 3.", "3"),
        ("te", r"\boxed{2}. సమాధానం 2 కాదు. \boxed{3}", "3"),
        ("en", r"\boxed{18}. Wait, let me check: 9 * 2 = 18. Yes.", "18"),  # stays
        ("en", r"\boxed{18}. They wait 5 days.", "18"),  # stays: no clause of its own
        ("en", r"\boxed{18} dollars, from 9 eggs at 2 dollars.", "18"),  # stays
        ("en", r"\boxed{18}. The answer is for 9 eggs.", "18"),  # stays: no number at once
    ],
)
def test_a_box_may_be_taken_back(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


# --- phrases by language ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("bn", "সঠিক উত্তরটি হলো ১৮, ৩টি বাক্সে ৬টি।", "18"),
        ("bn", "উত্তরঃ ১৮টি (৩ বাক্স)", "18"),
        ("bn", "উত্তর হচ্ছে ১৮। ৩টি বাক্স আছে।", "18"),
        ("bn", "উত্তর খুঁজতে ৩টি ধাপ। মোট ১৮", "18"),  # stays: the word within a sentence
        ("th", "คำตอบ ที่ถูกต้อง คือ ๑๘ ด้าม ใน 3 กล่อง", "18"),
        ("th", "ดังนั้นคำตอบจึงเป็น 18 ใน 3 กล่อง", "18"),
        ("th", "หาคำตอบใน 3 ขั้น ได้ 18", "18"),  # stays: the word within a sentence
        ("hi", "सही उत्तर 18 है, 3 डिब्बों में।", "18"),
        ("nl", "Het antwoord is 18. Er zijn 3 dozen.", "18"),
        ("vi", "Đáp án là 18. Có 3 hộp.", "18"),
        ("ar", "الإجابة هي ١٨. هناك ٣ صناديق.", "18"),
        ("zh-Hant", "答案應該是18。有3個盒子。", "18"),
    ],
)
def test_forms_of_the_answer_phrase(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("de", "Sie hat 18 Stifte in 3 Kisten.", "18"),
        ("fr", "Elle a 18 stylos dans 3 boîtes.", "18"),
        ("ru", "У неё 18 ручек в 3 коробках.", "18"),
        ("en", "There are 3 boxes and 18 pens.", "18"),  # stays: the last number
        ("en", "6 * 3 = 18 pens in 3 boxes.", "3"),  # stays: a calculation is no bare statement
        ("en", "6 pens fit.\nShe has 18 pens in 3 boxes.", "3"),  # stays: more than one sentence
    ],
)
def test_a_bare_statement_about_a_place(lang: str, text: str, expected: str) -> None:
    check(lang, text, expected)


def test_languages_without_words_are_named(project_settings: config.Settings) -> None:
    assert has_words("pt-BR") and not has_words("xh")
    some = replace(project_settings.block(Mgsm), languages=("en", "xh", "ko", "ee"))
    unknown = MGSM.notes(replace(project_settings, mgsm=some))
    says = "no answer phrases known; read by English's and by the last number"
    not_counted = "off-target answers not counted; py3langid does not know the language"
    assert unknown == [f"xh: {says}", f"ee: {says}", f"ee: {not_counted}"]
    assert len(MGSM.notes(replace(project_settings, mgsm=replace(some, style="en_cot")))) == 2
    check("xh", "Impendulo ngu-18.", "18")
    check("xh", "The answer is 18. Iibhokisi ezi-3.", "18")


def test_the_harness_still_reads_the_whole_text() -> None:
    assert lm_eval_flexible("<think>12</think> 18 cm^2") == "2"
