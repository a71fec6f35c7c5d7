"""Refusals, known by how they begin, in any language.

    >>> is_refusal(comparable("I'm sorry, but I can't help with that."))
    True
    >>> is_refusal(comparable("I can't wait to share this recipe!"))
    False

The phrases are folded (`normalise.Comparable`), with a plain apostrophe. A text counts as a refusal where it *begins*
with one of these, so that a story about somebody who cannot help does not. The list is short on purpose: it finds the
stock phrases of assistants, not every way to decline. What also begins ordinary sentences ("I cannot", "as an AI")
stands with the words that make it a refusal.
"""

from __future__ import annotations

from lidr.pairs.normalise import Comparable, one_case


def _each(beginnings: tuple[str, ...], ends: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(beginning + end for beginning in beginnings for end in ends)


BY_LANGUAGE = {
    "en": (
        *("i'm sorry, but", "i am sorry, but", "i apologize, but", "sorry, but i can't", "sorry, but i cannot"),
        *_each(
            ("i can't ", "i cannot ", "i won't ", "i'm unable to ", "i am unable to ", "i'm not able to "),
            (
                *("help with", "help you", "assist", "provide", "answer", "respond to", "fulfil", "comply"),
                *("discuss", "generate", "engage in"),
            ),
        ),
        *_each(("as an ai", "as a language model"), (",", " i ")),
        *_each(("as an ai ",), ("language model", "model", "assistant", "developed by", "created by")),
    ),
    "es": (
        "lo siento, pero",
        *_each(("no puedo ",), ("ayudarte", "ayudarle", "ayudar con", "responder a ", "proporcionar")),
        *_each(("como modelo de lenguaje",), (",", " de ia", " no ")),
    ),
    "de": (
        *("es tut mir leid, aber", "tut mir leid, aber"),
        *_each(("ich kann ihnen dabei nicht ", "ich kann dir dabei nicht "), ("helfen", "weiterhelfen", "behilflich")),
        *_each(("als ki", "als sprachmodell"), (",", " kann ich", " habe ich", " bin ich", " darf ich")),
        *_each(("als ki-",), ("modell", "sprachmodell", "assistent", "system")),
    ),
    "fr": (
        *("je suis désolé, mais", "désolé, mais"),
        *_each(("je ne peux pas ",), ("vous aider", "t'aider", "répondre à ", "fournir", "vous fournir", "te fournir")),
        *_each(("en tant qu'ia", "en tant que modèle de langage"), (",", " je ")),
        "en tant que modèle de langage d'ia",
    ),
    "it": (
        "mi dispiace, ma ",
        *_each(("non posso ",), ("aiutarti", "aiutarla", "aiutarvi", "fornire", "fornirti", "rispondere a ")),
        *_each(("come modello linguistico",), (",", " non ")),
    ),
    "pt": (
        *("desculpe, mas", "sinto muito, mas", "lamento, mas"),
        *_each(("não posso ajud",), ("á-l", "ar você", "ar com ", "ar nisso")),
        *_each(("como modelo de linguagem", "como um modelo de linguagem"), (",", " não ")),
    ),
    "ru": (
        *("извините, но", "простите, но"),
        *_each(
            ("к сожалению, я не могу ", "я не могу "),
            ("помочь вам", "помочь тебе", "помочь с ", "вам помочь", "тебе помочь", "ответить на", "предоставить"),
        ),
        "как языковая модель,",
    ),
    "zh": (
        *("对不起,", "抱歉,", "很抱歉,"),
        *_each(
            ("我无法", "我不能", "很抱歉我无法", "很抱歉我不能"),
            ("回答", "提供", "帮助", "帮您", "帮你", "协助", "满足", "生成", "为您", "为你"),
        ),
        *_each(
            ("作为一个人工智能", "作为人工智能", "作为一个ai", "作为ai"),
            (",", "我", "助手", "语言模型", "模型"),
        ),
    ),
    "ja": (
        *_each(("申し訳ありません", "申し訳ございません"), ("が", "。", "、")),
        *_each(("すみませんが、",), ("お答え", "お手伝い", "その質問", "そのご質問", "ご要望")),
        "aiとして、",
    ),
    "ko": ("죄송하지만", "죄송합니다만", "죄송합니다.", "죄송합니다,"),
    "ar": (
        *_each(("عذرا، ", "آسف، "), ("لا أستطيع ", "لا يمكنني ")),
        *("أعتذر، لكن", "لا أستطيع مساعدتك"),
    ),
    "hi": ("मुझे खेद है, लेकिन", "क्षमा करें, लेकिन", "माफ़ कीजिए, लेकिन", "माफ़ कीजिए, मैं"),
    "bn": ("আমি দুঃখিত, কিন্তু", "দুঃখিত, কিন্তু", *_each(("দুঃখিত, আমি ",), ("এই ", "আপনাকে ", "আপনার "))),
    "sw": (
        "samahani, lakini",
        *_each(
            ("samahani, siwezi ", "siwezi "),
            ("kukusaidia", "kusaidia na ", "kusaidia katika", "kusaidia kwa", "kujibu swali"),
        ),
    ),
    "th": _each(("ขออภัย", "ขอโทษ"), (" แต่", "แต่", "ค่ะ", "ครับ", " ฉันไม่", " ผมไม่", " ดิฉันไม่", " ไม่สามารถ")),
    "te": ("క్షమించండి,", "క్షమించండి. "),
}

# As str.startswith takes them, spelled as the texts that they are looked for in.
PHRASES = tuple(one_case(phrase) for phrases in BY_LANGUAGE.values() for phrase in phrases)

_OPENING = 120  # characters


def is_refusal(content: Comparable) -> bool:
    """Whether the text begins by declining to answer."""
    opening = content.folded[:_OPENING].replace("’", "'").lstrip("¡¿\"'«„“ ")
    return opening.startswith(PHRASES)
