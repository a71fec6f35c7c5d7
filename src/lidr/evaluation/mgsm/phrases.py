"""How prompts ask a question and how lm-evaluation-harness finds the answer, by language.

    >>> wording("de").strict.format("18"), wording("de").question
    ('Die Antwort lautet 18', 'Frage:')
    >>> wording("ko") is wording("en")
    True

The wording of the eleven MGSM languages is that of lm-evaluation-harness 0.4.13's `native_cot` tasks, sic: Russian's
run-together heading and Bengali's English phrase are theirs. A test holds them to it. A language that is not listed has
English's wording. The words by which `robust` reads answers are in extraction/words.toml.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """Headings of the question and of the reasoning, and the strict phrase with `{}` in place of the number."""

    question: str
    steps: str
    strict: str


_WORDINGS = {
    "en": Wording("Question:", "Step-by-Step Answer:", "The answer is {}"),
    "de": Wording("Frage:", "Schritt-für-Schritt-Antwort:", "Die Antwort lautet {}"),
    "es": Wording("Pregunta:", "Respuesta paso a paso:", "La respuesta es {}"),
    "fr": Wording("Question :", "Réponse étape par étape :", "La réponse est {}"),
    "ru": Wording("Задача:", "Пошаговоерешение:", "Ответ — {}"),
    "zh": Wording("问题：", "逐步解答:", "答案是 {}。"),
    "ja": Wording("問題：", "ステップごとの答え:", "答えは{}です。"),
    "th": Wording("โจทย์:", "คำตอบทีละขั้นตอน:", "คำตอบคือ {}"),
    "sw": Wording("Swali:", "Jibu la Hatua kwa Hatua:", "Jibu ni {}"),
    "bn": Wording("প্রশ্ন:", "ধাপে ধাপে উত্তর:", "The answer is {}"),
    "te": Wording("ప్రశ్న:", "దశలవారీగా సమాధానం:", "సమాధానం {}"),
    "it": Wording("Domanda:", "Risposta passo dopo passo:", "La risposta è {}"),
    "pt": Wording("Pergunta:", "Resposta passo a passo:", "A resposta é {}"),
}


def wording(lang: str) -> Wording:
    """The wording of a BCP-47 code's primary language; English's where there is none."""
    return _WORDINGS.get(lang.split("-")[0].lower(), _WORDINGS["en"])
