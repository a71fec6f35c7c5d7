"""What of a completion is the answer: neither the reasoning before it nor another problem that the model invents after.

    >>> answer_part("<think>Is it 12? No.</think>It is 18.\\n\\n### Instruction:\\nBen has 4 hats.", "en")
    'It is 18.'

A marker of another problem counts where a sentence may begin and once a number has been written: a model that first
repeats the question that it was asked has not answered yet.
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
    is_numbered = False
    for marker in _marker(lang).finditer(text):
        before = text[: marker.start()]
        if marker["number"] is None:
            if digit and digit.start() < marker.start():
                return before
        # 'Question 2:' is a step of the solution, unless it comes after the answer and no other question was numbered.
        elif not is_numbered and find_marked(in_one_writing(before), lang) is not None:
            return before
        else:
            is_numbered = True
    return text


@cache
def _marker(lang: str) -> re.Pattern[str]:
    words = any_of(word for table in own_and_english(lang) for word in table.questions)
    problem = rf"(?:^|(?<=[.!?。！？।]))[ \t#>*_]*{words}(?:\s*(?P<number>\d+))?[*_]*\s*[:：]"
    return re.compile(rf"{problem}|{_TURN}", re.IGNORECASE | re.MULTILINE)
