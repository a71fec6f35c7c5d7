"""Properties of single texts: words of any script, similarity, markers, loops, refusals, numbers."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lidr.audit.examine import is_repeated
from lidr.pairs.normalise import (
    CHARACTERS,
    WORDS,
    comparable,
    is_similar,
    ngram_length,
    ngrams,
    words,
)
from lidr.pairs.properties import markers, numbers
from lidr.pairs.refusals import is_refusal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("¿Qué número es MAYOR, 34 o 61?", ["qué", "número", "es", "mayor", "34", "o", "61"]),
        ("ねこが3匹", ["ね", "こ", "が", "3", "匹"]),
        ("ＡＢＣ　ａｂｃ", ["abc", "abc"]),
        ("re\u200bsult\u202e!", ["result"]),
        ("कितने सेब हैं?", ["कितने", "सेब", "हैं"]),
        ("... !?", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_ngrams_are_longer_in_scripts_without_spaces() -> None:
    assert ngram_length(words("how many apples are there")) == WORDS
    assert ngram_length(words("一共有多少个苹果在桌子上")) == CHARACTERS
    assert list(ngrams(words("a b c d e f"), WORDS)) == [("a", "b", "c", "d", "e"), ("b", "c", "d", "e", "f")]
    assert list(ngrams(words("too short"), WORDS)) == []


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("The  answer is 59.", "the answer is 59.", 1.0),
        ("abcd", "wxyz", 0.0),
        ("", "", 1.0),
        ("", "abc", 0.0),
        ("abcd", "abce", 0.5),  # one of two trigrams each
        ("aaaaa", "aaaa", 0.8),  # the same one, three times and twice
        ("abab", "bababa", 2 / 3),  # aba once and bab once of it twice each
    ],
)
def test_similarity(first: str, second: str, expected: float) -> None:
    for one, other in ((first, second), (second, first)):
        if expected:
            assert is_similar(comparable(one), comparable(other), expected)
        if expected < 1:
            assert not is_similar(comparable(one), comparable(other), expected + 1e-9)


@given(st.text("ab "), st.text("ab "), st.sampled_from([0.1, 0.5, 0.9]))
def test_similarity_is_dices_coefficient_of_all_trigrams(first: str, second: str, at_least: float) -> None:
    one, other = comparable(first), comparable(second)
    sizes = [max(len(content.folded) - 2, 0) for content in (one, other)]
    counts = [
        Counter(content.folded[i : i + 3] for i in range(size))
        for content, size in zip((one, other), sizes, strict=True)
    ]
    if all(sizes):
        assert is_similar(one, other, at_least) == (2 * (counts[0] & counts[1]).total() / sum(sizes) >= at_least)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Son 59.</translated>", ("</translated>",)),
        ("<Sentence>Son 59.</sentence> <sentence>", ("<sentence>", "</sentence>")),
        ("Translation Error", ("translation error",)),
        ("59<|eot_id|>", ("<|eot_id|>",)),
        ("[INST] 59 [/INST]", ("[inst]", "[/inst]")),
        ("59<｜end▁of▁sentence｜>", ("<｜end▁of▁sentence｜>",)),
        ("59<|reserved_special_token_0|>", ("<|reserved_special_token_0|>",)),
        ("20 + 39.</think>59", ("</think>",)),
        ("a < b > c, <b>bold</b>, |x|", ()),
        ("xs <|> ys, f <| g |> h, x<|y|>z, I think <so>", ()),
        ("re.compile(r'(<|&lt;|>)'), a <| b and c |> d, | x | y |", ()),
    ],
)
def test_markers(text: str, expected: tuple[str, ...]) -> None:
    assert markers(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no no no no no no no no ", True),
        ("The answer is " + "5" * 8, False),
        ("The answer is " + "5" * 100, True),
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10", False),
        (" ".join(["He has two apples and she has three pears."] * 3) + " So five.", True),
        (" ".join(f"Step {i} adds {i * 7} to the sum of {i * 31}." for i in range(20)), False),
        ("", False),
    ],
)
def test_repeated(text: str, expected: bool) -> None:
    assert is_repeated(comparable(text)) is expected


REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but no.",
    "I’m sorry, I can’t assist with that request.",
    "Unfortunately, I cannot help with that.",
    "**I'm sorry**, I can't help with that.",
    "I can't help with that, but I'm happy to help with something else.",
    "Es tut mir leid, aber das geht nicht.",
    "Es tut mir leid, ich kann dabei nicht helfen.",
    "Es tut mir leid, aber ich kann keine Informationen dazu geben.",
    "Lo siento, no puedo ayudarte con eso.",
    "Lo siento, pero no puedo.",
    "Je suis désolée, mais je ne peux pas répondre à cette demande.",
    "Mi dispiace, non posso aiutarti.",
    "Sinto muito, não posso ajudar com isso.",
    "Извините, я не могу помочь с этим.",
    "我很抱歉，但我无法提供帮助。",
    "すみませんが、お手伝いできません。",
    "죄송하지만 그 요청에는 응답할 수 없습니다.",
    "أنا آسف، لكن لا يمكنني المساعدة في ذلك.",
    "मुझे खेद है, लेकिन मैं इसमें मदद नहीं कर सकता।",
    "আমি দুঃখিত, কিন্তু আমি এতে সাহায্য করতে পারব না।",
    "Samahani, lakini siwezi kukusaidia na hilo.",
    "ขออภัยค่ะ ฉันไม่สามารถช่วยเรื่องนี้ได้",
    "క్షమించండి, నేను దీనికి సమాధానం ఇవ్వలేను.",
    "抱歉，我无法回答。",
    "I can't assist with that request.",
    "I cannot provide medical advice.",
    "I won't help you with that.",
    "I'm unable to answer this question.",
    "I'm not able to provide this.",
    "As an AI language model, I have no opinions.",
    "As an AI, I cannot say.",
    "As a language model, I have no body.",
    "Sorry, but I can’t do that.",
    "No puedo ayudarte con eso.",
    "Como modelo de lenguaje, no tengo opiniones.",
    "Ich kann Ihnen dabei nicht helfen.",
    "Als KI habe ich keine Meinung.",
    "Als KI-Sprachmodell kann ich das nicht.",
    "Je ne peux pas vous aider.",
    "En tant qu’IA, je n'ai pas d'opinion.",
    "Non posso aiutarti con questo.",
    "Não posso ajudá-lo com isso.",
    "К сожалению, я не могу помочь вам с этим.",
    "我无法提供这些信息。",
    "作为一个人工智能语言模型，我没有感情。",
    "申し訳ありませんが、お答えできません。",
    "죄송합니다. 도와드릴 수 없습니다.",
    "عذرا، لا أستطيع المساعدة.",
    "माफ़ कीजिए, मैं मदद नहीं कर सकता।",
    "দুঃখিত, আমি এই প্রশ্নের উত্তর দিতে পারব না।",
    "Samahani, siwezi kukusaidia.",
    "ขออภัย ฉันไม่สามารถช่วยได้",
    "క్షమించండి, నేను సహాయం చేయలేను.",
)
NO_REFUSALS = (
    "He said: I'm sorry, but I can't.",
    "The answer is 59.",
    "No.",
    "I'm sorry, but your premise is wrong: Paris is the capital of France.",
    "I cannot provide a list longer than this, but here are ten names: Anna, Ben.",
    "I cannot answer in one word. " + "The causes are many. " * 30,
    "No puedo proporcionar una lista más larga, pero aquí tienes diez nombres.",
    "Lo siento, pero la premisa es falsa.",
    "Es tut mir leid, aber Paris ist die Hauptstadt.",
    "Je suis désolée, mais Paris est la capitale.",
    "Mi dispiace, ma la risposta è 18.",
    "Desculpe, mas a resposta é 18.",
    "Извините, но столица — Париж.",
    "抱歉，让我重新计算：9×2=18。",
    "申し訳ありませんが、答えは18です。",
    "죄송합니다, 다시 계산하면 18입니다.",
    "عذرا، لكن الجواب 18.",
    "मुझे खेद है, लेकिन उत्तर 18 है।",
    "আমি দুঃখিত, কিন্তু উত্তর 18।",
    "Samahani, lakini jibu ni 18.",
    "ขออภัย คำตอบคือ 18",
    "క్షమించండి, సమాధానం 18.",
    "I can't wait to share this recipe!",
    "I cannot stress this enough: salt the water.",
    "I won't lie: it takes an hour.",
    "I can't help but smile.",
    "I'm unable to attend the meeting on Monday.",
    "I won't be able to attend the meeting on Monday.",
    "As an aid to memory, write it down.",
    "As an airline pilot, she flies 80 hours a month.",
    "As an AI researcher, she trains models.",
    "As a language model grows, it learns more.",
    "No puedo ayudar a mi hermano, dijo Ana.",
    "Como modelo de lenguaje natural, BERT lee en ambos sentidos.",
    "Als Kind habe ich viel gelesen.",
    "Als Kirsche bezeichnet man eine Frucht.",
    "Als KI bezeichnet man Systeme, die lernen.",
    "Als KI-Experte verdient man gut.",
    "Je ne peux pas croire que tu aies 12 ans.",
    "Non posso aiutare mio fratello, disse Anna.",
    "Não posso ajudar meu irmão, disse Ana.",
    "К сожалению, я не могу прийти в понедельник.",
    "Я не могу помочь брату, сказала Анна.",
    "我无法相信他今年12岁。",
    "我不能吃花生。",
    "很抱歉听到这个消息。",
    "作为一个人工智能专家，她训练模型。",
    "申し訳ありませんでした。と彼は言った。",
    "すみませんが、駅はどこですか。",
    "AIとして知られる技術です。",
    "죄송합니다라고 그가 말했다.",
    "عذرا، لاحظت خطأ في الحساب.",
    "لا أستطيع مساعدته، قالت آنا.",
    "माफ़ कीजिए कहना अच्छी बात है।",
    "দুঃখিত, আমি দেরি করেছি।",
    "Samahani, siwezi kuja Jumatatu.",
    "ขออภัยในความไม่สะดวก",
    "ขอโทษที่มาสาย",
    "క్షమించండి అని ఆమె చెప్పింది.",
)


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals(text: str) -> None:
    assert is_refusal(comparable(text))


@pytest.mark.parametrize("text", NO_REFUSALS)
def test_ordinary_sentences_that_begin_like_a_refusal(text: str) -> None:
    assert not is_refusal(comparable(text))


def test_numbers_in_any_writing() -> None:
    assert numbers("1,200 + 3.5 = 1,203.5") == numbers("1.200 + 3,5 = 1.203,5")
    assert numbers("٣٤ تفاحة") == numbers("34 apples")
    assert numbers("12, 40, 77") == numbers("77, 12 y 40")
    assert numbers("12 and 12") != numbers("12")


@pytest.mark.parametrize("unit", ["a", "ab ", "<", "слово ", "字", "1.", " "])
def test_long_lines_are_read_quickly(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    start = time.process_time()
    content, longer = comparable(text), comparable(text + "b")
    is_repeated(content), markers(text), is_refusal(content), numbers(text), is_similar(content, longer)
    assert time.process_time() - start < 5
