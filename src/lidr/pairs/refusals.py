"""Refusals, known by how they begin, in any language.

    >>> is_refusal(comparable("I'm sorry, but I can't help with that."))
    True

The phrases are folded (`normalise.Comparable`), with a plain apostrophe. A text counts as a refusal where it *begins*
with one of these, so that a story about somebody who cannot help does not. The list is short on purpose: it finds the
stock phrases of assistants, not every way to decline.
"""

from __future__ import annotations

from lidr.pairs.normalise import Comparable, one_case

BY_LANGUAGE = {
    "en": (
        "i'm sorry, but",
        "i am sorry, but",
        "i apologize, but",
        "sorry, but i can",
        "i cannot ",
        "i can't ",
        "i'm unable to",
        "i am unable to",
        "i'm not able to",
        "i won't ",
        "as an ai",
        "as a language model",
    ),
    "es": (
        "lo siento, pero",
        "no puedo ayudar",
        "no puedo responder",
        "no puedo proporcionar",
        "como modelo de lenguaje",
    ),
    "de": (
        "es tut mir leid, aber",
        "tut mir leid, aber",
        "ich kann ihnen dabei nicht",
        "ich kann dir dabei nicht",
        "als ki",
    ),
    "fr": ("je suis désolé, mais", "désolé, mais", "je ne peux pas", "en tant qu'ia", "en tant que modèle de langage"),
    "it": ("mi dispiace, ma", "non posso aiutar", "non posso fornire", "come modello linguistico"),
    "pt": ("desculpe, mas", "sinto muito, mas", "lamento, mas", "não posso ajudar", "como modelo de linguagem"),
    "ru": ("извините, но", "к сожалению, я не могу", "простите, но", "я не могу помочь", "как языковая модель"),
    "zh": ("对不起,", "抱歉,", "很抱歉", "我无法", "我不能", "作为一个人工智能", "作为ai"),
    "ja": ("申し訳ありません", "申し訳ございません", "すみませんが", "aiとして"),
    "ko": ("죄송하지만", "죄송합니다"),
    "ar": ("عذرا، لا", "آسف، لا", "أعتذر، لكن", "لا أستطيع مساعدت"),
    "hi": ("मुझे खेद है, लेकिन", "क्षमा करें, लेकिन", "माफ़ कीजिए"),
    "bn": ("আমি দুঃখিত, কিন্তু", "দুঃখিত, আমি"),
    "sw": ("samahani, lakini", "samahani, siwezi", "siwezi kusaidia"),
    "th": ("ขออภัย", "ขอโทษ"),
    "te": ("క్షమించండి",),
}

# As str.startswith takes them, spelled as the texts that they are looked for in.
PHRASES = tuple(one_case(phrase) for phrases in BY_LANGUAGE.values() for phrase in phrases)

_OPENING = 120  # characters


def is_refusal(content: Comparable) -> bool:
    """Whether the text begins by declining to answer."""
    opening = content.folded[:_OPENING].replace("’", "'").lstrip("¡¿\"'«„“ ")
    return opening.startswith(PHRASES)
