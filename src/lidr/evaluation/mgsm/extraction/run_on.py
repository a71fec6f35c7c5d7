"""What of a completion is the answer: neither the reasoning before it nor another problem that the model invents after.

    >>> answer_part("<think>Is it 12? No.</think>It is 18.\\n\\n### Instruction:\\nBen has 4 hats.", "en")
    'It is 18.\\n\\n'

A marker of another problem counts where a sentence may begin and once the problem has been answered: solutions have
headings such as 'Question:' too, for what was asked and for their steps.
"""

from __future__ import annotations

import re
from functools import cache

from lidr.chat import reasoning
from lidr.evaluation.mgsm.extraction.places import find_marked
from lidr.evaluation.mgsm.extraction.words import any_of, own_and_english
from lidr.evaluation.mgsm.extraction.writing import in_one_writing

_DIGIT = re.compile(r"\d")
_LIST_NUMBER = re.compile(r"^\s*\d+[.)](?=\s|$)", re.MULTILINE)
_MAY_BEGIN = re.compile(r"[:：<\[]|^[ \t]*user[ \t]*$", re.MULTILINE)  # most texts have no marker
# The marks of turns in chat templates, as text; roles with a colon, or alone on a line.
_TURN = (
    r"<\|(?:im_start|im_end|eot_id|start_header_id|endoftext|end_of_text|user|end)\|>"
    r"|</s>|<(?:start|end)_of_turn>|\[INST\]"
    r"|^[ \t#*]*(?:human|user|\#[ \t]*(?:instruction|input))[ \t*]*:|^[ \t]*user[ \t]*$"
)

_SENTENCE = re.compile(r"[\s*_]*[^.!?。！？।؟\n]*(?P<end>.?)")
_ASKS = ("?", "？", "؟")
# The last sentence, where it ends in a number or in the number of a calculation with its unit.
_LAST_SENTENCE = re.compile(
    r"[^.!?。！？।؟\n]*(?:(?P<calculation>[=＝≈][^=\n.。।\d]*\d[\d.,]*[^=\n.。।\d]{0,40})|\d[\d.,]*)\s*[$€£¥₹%]?[\s.。।*_]*\Z"
)


def answer_part(text: str, lang: str) -> str:
    """The text after its reasoning and up to another problem; empty where it was cut off within its reasoning."""
    return _before_next_problem(_after_reasoning(text), lang)


def _after_reasoning(text: str) -> str:
    parts = reasoning.split(text)
    if parts is not None:
        return parts[1]
    # A model may say something before it begins to think.
    for opening, closing in reasoning.MARKS:
        if opening in text:
            before, _, rest = text.partition(opening)
            return rest.rpartition(closing)[2] if closing in rest else before
    return text


def _before_next_problem(text: str, lang: str) -> str:
    if not _MAY_BEGIN.search(text):
        return text
    # A list's own numbers answer nothing.
    digit = _DIGIT.search(_LIST_NUMBER.sub(lambda match: " " * len(match[0]), text))
    is_answered = is_asked = is_numbered = False
    end = 0
    for marker in _marker(lang).finditer(text):
        before, end = text[end : marker.start()], marker.end()
        if not digit or digit.start() >= marker.start():
            is_another = False
        elif marker["problem"] is None:
            is_another = True
        else:
            is_answered = is_answered or find_marked(in_one_writing(before), lang) is not None
            if marker["number"]:
                is_another = is_answered and not is_numbered
            elif is_answered:
                is_another = not is_asked or _tells(text, end)
            else:
                is_another = _ends_in_result(before) and _tells(text, end)
        if is_another:
            return text[: marker.start()]
        is_asked, is_numbered = True, is_numbered or bool(marker["number"])
    return text


def _ends_in_result(text: str) -> bool:
    """Whether an answer that nothing marks may end here: 'It is 18.', 'She makes 9 * 2 = 18 dollars.'"""
    sentence = _LAST_SENTENCE.search(text[-300:])
    return sentence is not None and (sentence["calculation"] is not None or ":" not in sentence[0].replace("：", ":"))


def _tells(text: str, start: int) -> bool:
    """Whether a problem is told ('Tom has 5 apples.'), where a step only asks ('How much does she make?')."""
    first = _SENTENCE.match(text, start)
    return first is not None and _DIGIT.search(first[0]) is not None and first["end"] not in _ASKS


@cache
def _marker(lang: str) -> re.Pattern[str]:
    words = any_of(word for table in own_and_english(lang) for word in table.questions)
    problem = rf"(?:^|(?<=[.!?。！？।]))[ \t#>*_]*(?P<problem>{words})(?:\s*(?P<number>\d+))?[*_]*\s*[:：]"
    return re.compile(rf"{problem}|{_TURN}", re.IGNORECASE | re.MULTILINE)
