"""How each language asks a question and says an answer: the words that prompts use and that answers are read by.

    >>> wording("de").strict.format("18"), wording("de").question
    ('Die Antwort lautet 18', 'Frage:')
    >>> wording("ko") is wording("en")
    True

`question`, `steps` and `strict` of the eleven MGSM languages are those of lm-evaluation-harness 0.4.13's `native_cot`
tasks, sic: Russian's run-together heading and Bengali's English phrase are theirs. A test holds them to it. The other
words are ours; they only serve to read answers. A language that is not listed has English's wording.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """One language's words.

    `strict` has `{}` in place of the number. `phrases` are followed by the number in the same sentence, `openers` by
    the number at once, `words` (the bare word for 'answer') by a colon; `questions` with a colon begin a question.
    """

    question: str
    steps: str
    strict: str
    phrases: tuple[str, ...]
    words: tuple[str, ...]
    questions: tuple[str, ...]
    openers: tuple[str, ...] = ()


_WORDINGS = {
    "en": Wording(
        question="Question:",
        steps="Step-by-Step Answer:",
        strict="The answer is {}",
        phrases=("answer is", "answer would be", "answer should be"),
        words=("answer",),
        questions=("question", "q"),
    ),
    "de": Wording(
        question="Frage:",
        steps="Schritt-für-Schritt-Antwort:",
        strict="Die Antwort lautet {}",
        phrases=("antwort lautet", "antwort ist", "antwort wäre"),
        words=("antwort",),
        questions=("frage",),
    ),
    "es": Wording(
        question="Pregunta:",
        steps="Respuesta paso a paso:",
        strict="La respuesta es {}",
        phrases=("respuesta es", "respuesta final es", "respuesta correcta es", "respuesta sería"),
        words=("respuesta", "respuesta final"),
        questions=("pregunta",),
    ),
    "fr": Wording(
        question="Question :",
        steps="Réponse étape par étape :",
        strict="La réponse est {}",
        phrases=("réponse est", "réponse finale est", "réponse correcte est", "réponse serait"),
        words=("réponse", "réponse finale"),
        questions=("question",),
    ),
    "ru": Wording(
        question="Задача:",
        steps="Пошаговоерешение:",
        strict="Ответ — {}",
        phrases=("ответ —", "ответ –", "ответ -", "ответ равен", "ответ будет", "ответом является", "ответ это"),
        words=("ответ",),
        questions=("задача", "вопрос"),
        openers=("ответ",),
    ),
    "zh": Wording(
        question="问题：",
        steps="逐步解答:",
        strict="答案是 {}。",
        phrases=("答案是", "答案为", "答案為", "答案就是", "答案应该是"),
        words=("答案", "答"),
        questions=("问题", "問題"),
    ),
    "ja": Wording(
        question="問題：",
        steps="ステップごとの答え:",
        strict="答えは{}です。",
        phrases=("答えは", "答は", "解答は", "回答は", "正解は"),
        words=("答え", "答", "解答", "回答"),
        questions=("問題", "質問"),
        openers=("答え",),
    ),
    "th": Wording(
        question="โจทย์:",
        steps="คำตอบทีละขั้นตอน:",
        strict="คำตอบคือ {}",
        phrases=("คำตอบคือ", "คำตอบสุดท้ายคือ", "คำตอบที่ถูกต้องคือ"),
        words=("คำตอบ", "คำตอบสุดท้าย", "ตอบ"),
        questions=("โจทย์", "คำถาม"),
        openers=("ตอบ",),
    ),
    "sw": Wording(
        question="Swali:",
        steps="Jibu la Hatua kwa Hatua:",
        strict="Jibu ni {}",
        phrases=("jibu ni", "jibu la mwisho ni", "jibu sahihi ni", "jibu lake ni"),
        words=("jibu", "jibu la mwisho"),
        questions=("swali",),
    ),
    "bn": Wording(
        question="প্রশ্ন:",
        steps="ধাপে ধাপে উত্তর:",
        strict="The answer is {}",
        phrases=("উত্তর হল", "উত্তর হলো", "উত্তর হচ্ছে", "উত্তর হবে"),
        words=("উত্তর",),
        questions=("প্রশ্ন",),
    ),
    "te": Wording(
        question="ప్రశ్న:",
        steps="దశలవారీగా సమాధానం:",
        strict="సమాధానం {}",
        phrases=("సమాధానం ఏమిటంటే",),
        words=("సమాధానం", "జవాబు"),
        questions=("ప్రశ్న",),
        openers=("సమాధానం", "జవాబు"),
    ),
    "it": Wording(
        question="Domanda:",
        steps="Risposta passo dopo passo:",
        strict="La risposta è {}",
        phrases=("risposta è", "risposta finale è", "risposta corretta è", "risposta sarebbe"),
        words=("risposta", "risposta finale"),
        questions=("domanda",),
    ),
    "pt": Wording(
        question="Pergunta:",
        steps="Resposta passo a passo:",
        strict="A resposta é {}",
        phrases=("resposta é", "resposta final é", "resposta correta é", "resposta seria"),
        words=("resposta", "resposta final"),
        questions=("pergunta",),
    ),
}


def wording(lang: str) -> Wording:
    """The wording of a BCP-47 code's primary language; English's where there is none."""
    return _WORDINGS.get(lang.split("-")[0].lower(), _WORDINGS["en"])


def has_wording(lang: str) -> bool:
    """Whether the language has words of its own here, and need not fall back to English's."""
    return lang.split("-")[0].lower() in _WORDINGS
