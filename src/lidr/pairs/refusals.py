"""Refusals, known by how they begin, in any language.

    >>> from lidr.pairs.normalise import comparable
    >>> is_refusal(comparable("I'm sorry, but I can't help with that."))
    True
    >>> is_refusal(comparable("I'm sorry, but your premise is wrong: Paris is the capital of France."))
    False

A refusal begins with a sentence that says what the assistant cannot do, after an apology or nothing, and is nothing
else: it is short and lists nothing. A story about somebody who cannot help does not begin so. The phrases are few on
purpose: they find what assistants commonly say, not every way to decline. What also begins ordinary sentences ("I
cannot") stands with the words that make it a refusal.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lidr.pairs.normalise import Comparable, one_case


class Wording(NamedTuple):
    """How a language declines, as regular expressions in lower case, in which `...` is up to 40 characters.

    `sorry` may come first. `no` is a refusal after it alone, and where the sentence ends there. `cannot` is one anyway.
    """

    sorry: str
    no: str
    cannot: str


BY_LANGUAGE = {
    "en": Wording(
        r"(i'm|i am|we're|we are) (very |so |really |truly )?sorry|sorry|(my )?apologies|i (sincerely )?apologi[sz]e"
        r"|unfortunately|i'm afraid( that)?|i regret that",
        r"no|(i|we) (can't|cannot)( do (that|this|so))?|that's not possible",
        r"(i|we)( can't|'m unable to| am unable to|'m not able to| am not able to| can ?not| won't| will not)"
        r" (help (with|you)|help\.|(be able to )?assist|(be able to )?provide|answer|respond to|fulfil|comply|discuss"
        r"|access|generate|engage in|do th(at|is)\.)"
        r"|as an ai( language model| model| assistant| (developed|created) by|,| i )"
        r"|as a (large )?language model(,| i )",
    ),
    "es": Wording(
        r"lo siento( mucho)?|lamento|lo lamento|disculpa|disculpe|perdón|desafortunadamente|lamentablemente",
        r"no( puedo| es posible)?|no puedo hacer(lo| eso)",
        r"no (puedo|me es posible|soy capaz de) (ayudarte|ayudarle|ayudar con|asistir|responder a |proporcionar|acceder"
        r"|cumplir con|generar|hablar sobre)"
        r"|como (un )?modelo de lenguaje(,| de ia| no )",
    ),
    "de": Wording(
        r"(es )?tut mir (sehr |wirklich )?leid|entschuldigung|entschuldige|entschuldigen sie|ich bedau(er|re)e?|leider",
        r"nein|(ich kann das nicht|das kann ich nicht|das geht nicht)",
        r"(leider )?(ich )?kann (ich )?(ihnen |dir |euch )?(leider )?(dabei|damit|hierbei) (leider )?nicht "
        r"(helfen|weiterhelfen|behilflich|dienen)"
        r"|(leider )?(ich )?kann (ich )?(ihnen |dir )?(leider )?(diese|deine|ihre) (frage|bitte|anfrage) "
        r"(leider )?nicht (beantworten|erfüllen|bearbeiten)"
        r"|(leider )?(ich )?kann (ich )?(ihnen |dir )?(leider )?"
        r"(keine (informationen|auskunft|hilfe|unterstützung|beratung)|(keinen?|nicht) ...(geben|bieten|bereitstellen))"
        r"|als ki(,| kann ich| habe ich| bin ich| darf ich|-modell|-sprachmodell|-assistent|-system)"
        r"|als sprachmodell(,| kann ich| habe ich| bin ich| darf ich)",
    ),
    "fr": Wording(
        r"(je suis )?(vraiment |sincèrement )?(désolée?|navrée?)|malheureusement|je regrette|(je m')?excuse[zr]?-moi",
        r"non|je ne peux pas( le faire| faire cela)?|ce n'est pas possible",
        r"je ne (peux|suis) (pas |malheureusement pas )?(en mesure de |capable de )?(vous aider|t'aider|aider avec"
        r"|répondre à |(vous |te )?fournir|(vous |t')?assister|satisfaire|générer)"
        r"|en tant qu(e modèle de langage|'ia|'intelligence artificielle)(,| d'ia| je )",
    ),
    "it": Wording(
        r"mi (di)?spiace( molto)?|scusa|scusi|purtroppo|sono spiacente",
        r"no|non posso( farlo)?|non è possibile",
        r"non (posso|sono in grado di) (aiutarti|aiutarla|aiutarvi|aiutare con|assisterti|fornir|rispondere a |generare"
        r"|soddisfare)"
        r"|come modello linguistico(,| non )",
    ),
    "pt": Wording(
        r"(me )?desculpe?|peço desculpas?|(eu )?sinto muito|lamento|infelizmente",
        r"não( posso| é possível)?",
        r"(eu )?não (posso|consigo) (te ajudar|ajudá-l|ajudar (você|com |nisso)|responder (a |essa )|fornecer|atender"
        r"|gerar)"
        r"|como (um )?modelo de linguagem(,| não )",
    ),
    "ru": Wording(
        r"извините|простите|прошу прощения|мне (очень )?жаль|(я )?сожалею|к сожалению",
        r"нет|(я )?не могу",
        r"(я )?не (могу|в состоянии) (вам |тебе )?(помочь (вам|тебе|с |в этом)|помочь\.|ответить на|предоставить"
        r"|выполнить|обсуждать|(с этим |в этом )помочь)|я не могу (вам|тебе) помочь"
        r"|как языковая модель,",
    ),
    "zh": Wording(
        r"我?(很|非常|十分)?(抱歉|遗憾)|对不起|不好意思",
        r"不行|我?(做不到|无法做到|不能)",
        r"我?(无法|不能|没有?办法)(为您|为你|给您|给你|帮您|帮你|帮助|协助|回答|提供|满足|生成|讨论)"
        r"|作为一?个?(人工智能|ai)(,|我|助手|语言模型|模型)",
    ),
    "ja": Wording(
        r"(大変)?(申し訳(ありません|ございません|ない(です)?)|すみません|ごめんなさい)が?|残念ながら",
        r"できません",
        r"...(お?答え|回答|お?手伝い|ご?提供|お応え|応じ|対応|支援|協力|生成)...(できません|できかねます|出来ません"
        r"|いたしかねます|致しかねます|ことはできません)|aiとして、",
    ),
    "ko": Wording(
        r"(정말 |대단히 )?죄송(하지만|합니다만|합니다|해요)|미안(하지만|합니다)|유감스럽게도|안타깝게도",
        r"(안 됩니다|할 수 없습니다)",
        r"...(도와|도움|답변|대답|제공|응답|응할|생성|지원)...(수 ?(가 |는 )?없|어렵|못합)",
    ),
    "ar": Wording(
        r"عذرا|آسف|أنا آسف|أعتذر|للأسف|معذرة",
        r"لا( أستطيع| يمكنني)?",
        r"(لا أستطيع|لا يمكنني|لن أتمكن من) (مساعدتك|المساعدة|تقديم|الإجابة|توفير|تلبية)",
    ),
    "hi": Wording(
        r"(मुझे )?(खेद है|अफ़सोस है)|क्षमा करें|माफ़ (कीजिए|करें)",
        r"नहीं|मैं (यह )?नहीं कर सकता",
        r"मैं ...(मदद|सहायता|उत्तर|जवाब|जानकारी|प्रदान)...नहीं ...सक(ता|ती|ते)",
    ),
    "bn": Wording(
        r"(আমি )?দুঃখিত|ক্ষমা করবেন|মাফ করবেন",
        r"না|আমি পারব না",
        r"আমি ...(সাহায্য|সহায়তা|উত্তর|জবাব|প্রদান)...(পারব না|পারছি না|পারি না|অক্ষম)",
    ),
    "sw": Wording(
        r"samahani|pole|(naomba )?radhi|kwa bahati mbaya|nasikitika",
        r"hapana|siwezi",
        r"(siwezi|sitaweza) (kukusaidia|kusaidia (na|katika|kwa) |kujibu|kutoa|kukupa)",
    ),
    "th": Wording(
        r"(ต้อง)?(ขออภัย|ขอโทษ|เสียใจ)(ด้วย)?(ค่ะ|ครับ)?|น่าเสียดาย",
        r"(ฉัน|ผม|ดิฉัน)?(ทำไม่ได้|ไม่สามารถทำได้)",
        r"(ฉัน|ผม|ดิฉัน)?ไม่สามารถ...(ช่วย|ตอบ|ให้ข้อมูล|ให้คำ|จัดหา|สร้าง)",
    ),
    "te": Wording(
        r"(నన్ను )?క్షమించండి|(నేను )?చింతిస్తున్నాను|దురదృష్టవశాత్తు",
        r"లేదు|నేను చేయలేను",
        r"నేను ...(సహాయం|సాయం|సమాధానం|అందించ|ఇవ్వ)...(లేను|లేకపోతున్నాను)",
    ),
}

# What joins an apology to the rest, and what brings in an answer all the same, in any language.
_BUT = r"but|however|pero|aber|mais|ma|mas|но|但是?|不过|ですが|하지만|لكن|ولكن|लेकिन|पर|কিন্তু|lakini|แต่|కానీ"
_STILL = (
    r"(?:but|however,) here\b|aquí (?:hay|tienes?|está|están|van)\b"
    r"|hier (?:ist|sind)\b|voici\b|\becco\b|aqui (?:está|estão|vão)\b|\bвот\b|以下|这是|다음은|إليك|यहाँ कुछ|এখানে কিছু"
    r"|hapa kuna|นี่คือ|ఇక్కడ కొన్ని"
)
_LONGEST = 600  # characters


def _compiled(wording: Wording) -> str:
    sorry, no, cannot, but = (one_case(part).replace("...", "[^.!?:。।]{0,40}?") for part in (*wording, _BUT))
    return rf"(?:(?:{sorry})\W*(?:{but})?\W*(?:(?:{no})(?:[.!。।]|$)|{cannot})|{cannot})"


_REFUSAL = re.compile(rf"\W*(?:{'|'.join(map(_compiled, BY_LANGUAGE.values()))})")
_ANSWER = re.compile(rf":(?!//)|{one_case(_STILL)}")


def is_refusal(content: Comparable) -> bool:
    """Whether the text begins by declining to answer, and does not answer after all."""
    text = content.folded[: _LONGEST + 1].replace("’", "'").replace("*", "")
    if not (declined := _REFUSAL.match(text)):
        return False
    return len(content.folded) <= _LONGEST and not _ANSWER.search(text, declined.end())
