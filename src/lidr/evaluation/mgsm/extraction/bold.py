"""A result in bold in the last sentence: what follows it there is left out.

    >>> up_to_bold_result("So Josh made **$70,000** on an investment of $130,000.", "en")
    'So Josh made **$70,000**'

Bold is a weak mark: steps, headings and numbers on the way are set in it too. It counts only for one quantity within
the last sentence that holds numbers, where no other clause, calculation or mark of an answer follows.
"""

from __future__ import annotations

import re

from lidr.evaluation.mgsm.extraction.notation import CODES
from lidr.evaluation.mgsm.extraction.statements import is_aside, sentence_end

_BOLD = re.compile(r"(?<!\d)(?P<mark>\*\*|__)(?P<inner>[^*_\n]{1,60})(?P=mark)(?!\d)")
# Not 'Step 2', '2. Eggs' or '2nd'; one word before the number is its unit ('dola 18').
_QUANTITY = re.compile(
    rf"(?:(?:{CODES})\.?\s?|(?P<unit>[^\W\d_]{{1,15}}\s))?[^\w\s]{{0,3}}"
    r"\d(?:[\d.,'\s]*\d)?(?![.)]\s|st\b|nd\b|rd\b|th\b)[^\d=:：]*"
)
_DIGIT = re.compile(r"\d")
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
