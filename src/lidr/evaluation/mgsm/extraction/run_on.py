"""What of a completion is the answer: neither the reasoning before it nor another problem that the model invents after.

    >>> answer_part("<think>Is it 12? No.</think>It is 18.\\n\\n### Instruction:\\nBen has 4 hats.", "en")
    'It is 18.\\n\\n'
    >>> up_to_bold_result("So Josh made **$70,000** on an investment of $130,000.", "en")
    'So Josh made **$70,000**'

A marker of another problem counts where a sentence may begin and once the problem has been answered: solutions have
headings such as 'Question:' too, for what was asked and for their steps.

Bold is a weak mark: steps, headings and numbers on the way are set in it too. It counts only for one quantity within
the last sentence that holds numbers, where no other clause, calculation or mark of an answer follows.
"""

from __future__ import annotations

import re
from functools import cache

from lidr.chat import reasoning
from lidr.evaluation.mgsm.extraction.notation import CODES
from lidr.evaluation.mgsm.extraction.places import find_marked
from lidr.evaluation.mgsm.extraction.statements import is_aside, sentence_end
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


# --- a result in bold ------------------------------------------------------------------------------------------------

_BOLD = re.compile(r"(?<!\d)(?P<mark>\*\*|__)(?P<inner>[^*_\n]{1,60})(?P=mark)(?!\d)")
# Not 'Step 2', '2. Eggs' or '2nd'; one word before the number is its unit ('dola 18').
_QUANTITY = re.compile(
    rf"(?:(?:{CODES})\.?\s?|(?P<unit>[^\W\d_]{{1,15}}\s))?[^\w\s]{{0,3}}"
    r"\d(?:[\d.,'\s]*\d)?(?![.)]\s|st\b|nd\b|rd\b|th\b)[^\d=:：]*"
)
# Before another number a clause, a calculation, a table or a mark of the answer begins.
_GOES_ON = re.compile(r"(?:[,،](?!\d)|[，、;；=＝≈:：|→\\#<]).*\d")
_PARENTHESES = re.compile(r"[(（][^()（）]*[)）]")


def up_to_bold_result(text: str, lang: str) -> str:
    """The text up to its bold result, or all of it where it has none."""
    if "**" not in text and "__" not in text:
        return text
    bold = next((bold for bold in reversed(list(_BOLD.finditer(text))) if _DIGIT.search(bold["inner"])), None)
    if bold is None or not _is_quantity(bold["inner"]) or _begins_its_line(text, bold.start()):
        return text
    end = sentence_end(text, bold.end())
    is_last = not _DIGIT.search(_PARENTHESES.sub("", text[end:]))
    goes_on = _GOES_ON.search(_PARENTHESES.sub("", text[bold.end() : end]))
    if not is_last or goes_on or is_aside(text[: bold.start()], bold["inner"], lang):
        return text
    return text[: bold.end()]


def _is_quantity(inner: str) -> bool:
    found = _QUANTITY.fullmatch(inner.strip())
    return found is not None and (not found["unit"] or found["unit"].islower())


def _begins_its_line(text: str, start: int) -> bool:
    """Whether only the mark of a list stands before it."""
    return not re.search(r"[^\W\d]", text[text.rfind("\n", 0, start) + 1 : start])
