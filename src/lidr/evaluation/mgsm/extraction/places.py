"""Where the answer stands in a normalised text: the first of these places that holds a number.

1. `####`, GSM8K's mark; the first one, since a model that goes on writes another problem's.
2. `<answer>` tags, the last pair.
3. The last `\\boxed{}`, unless it is taken back or another answer is stated after it.
4. The last phrase such as 'The answer is', or a label such as 'Answer:', in the item's language or English.
5. The last number.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache

from lidr.evaluation.mgsm.extraction.numerals import numeral, value
from lidr.evaluation.mgsm.extraction.words import any_of, own_and_english, wording, words
from lidr.evaluation.mgsm.extraction.writing import CURRENCY

# Lengths are bounded because a model that is stuck repeats a phrase or a bracket thousands of times.
_LONGEST = 300
# What may stand between a phrase and its number without a word.
_LEAD = rf"[ \t*:={CURRENCY}]{{0,40}}"
_LEAD_OVER_LINES = re.compile(rf"[\s*:={CURRENCY}]{{0,40}}")
# To the end of the sentence, over decimals and abbreviations such as 'Rs. 500'.
_SENTENCE = re.compile(rf"(?:\b[^\W\d_]{{1,3}}\.(?=\s?[0-9])|[.](?=[0-9])|[^\n.!?。।]){{0,{_LONGEST}}}")
_UNIT = rf"[^\s0-9=≈+*/×÷·(),.;:!?<>{CURRENCY}-]{{1,20}}"
# From one number of a calculation to the next, over its unit: '9 eggs * $2 = $18'.
_LINK = re.compile(
    rf"(?:\s?{_UNIT}(?:\s{_UNIT}){{0,2}})?\s*(?P<operator>[-+*/×÷·=≈]|x(?=\s?[0-9{CURRENCY}]))\s*"
    rf"[{CURRENCY}]?\s?"
)
_LIST_NUMBER = re.compile(r"[0-9]+[.)]\s+\S")


def find(text: str, lang: str) -> Decimal | None:
    """The answer of a normalised text; None where it holds no number."""
    marked = find_marked(text, lang)
    return _last_number(text, lang) if marked is None else marked


def find_marked(text: str, lang: str) -> Decimal | None:
    """The same without the last number, which nothing marks as the answer."""
    for place in (_after_hashes, _in_tags, _in_last_box, _after_last_phrase):
        found = place(text, lang)
        if found is not None:
            return found
    return None


# --- marks -----------------------------------------------------------------------------------------------------------


def _after_hashes(text: str, lang: str) -> Decimal | None:
    """GSM8K's '#### 18'. A Markdown heading begins in the same way, so the number must follow at once."""
    if "####" not in text:
        return None
    for match in re.finditer(rf"####{_LEAD}", text):
        number = numeral(lang).match(text, match.end())
        if number and not _LIST_NUMBER.match(text, number.start()):
            return value(number, lang)
    return None


_OPENING_TAG = re.compile("<answer>", re.IGNORECASE)
_CLOSING_TAG = re.compile("</answer>", re.IGNORECASE)


def _in_tags(text: str, lang: str) -> Decimal | None:
    """The answer in the last `<answer>` that holds a number: the first one of a mere result, otherwise as in a text."""
    if "<" not in text:
        return None
    for rest in reversed(_OPENING_TAG.split(text)[1:]):
        inside = _CLOSING_TAG.split(rest, maxsplit=1)[0].strip()
        found = _after_label(inside, 0, lang) if "\n" not in inside else None
        found = find(inside, lang) if found is None else found
        if found is not None:
            return found
    return None


def _in_last_box(text: str, lang: str) -> Decimal | None:
    """The number of the last `\\boxed{}` that holds one, or the one by which it is corrected."""
    if "boxed" not in text:
        return None
    for match in reversed(list(re.finditer(r"\\f?boxed\s*\{", text))):
        end = _closing_brace(text, match.end())
        found = _read(text, match.end(), end, lang)
        if found is not None:
            corrected = _correction(text[end:], lang)
            return found[0] if corrected is None else corrected
    return None


def _closing_brace(text: str, start: int) -> int:
    depth, end = 1, min(len(text), start + _LONGEST)
    for position in range(start, end):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return end


def _correction(rest: str, lang: str) -> Decimal | None:
    """The answer after a box was taken back in words, or that a later phrase gives at once ('The answer is 3')."""
    taken_back = _retraction(lang).search(rest)
    if taken_back:
        rest = rest[taken_back.end() :]
        phrased = _after_last_phrase(rest, lang)
        return _last_number(rest, lang) if phrased is None else phrased
    for match in reversed(list(_phrase(lang).finditer(rest))):
        number = numeral(lang).match(rest, _end(_LEAD_OVER_LINES, rest, match.end()))
        if number and match["phrase"]:
            return _in_sentence(rest, match.end(), lang)
    return None


@cache
def _retraction(lang: str) -> re.Pattern[str]:
    """A clause that takes back; a single word is one only before a mark ('Wait, ...')."""
    alternatives = []
    for table in own_and_english(lang):
        alone = [word for word in table.retractions if table.joined and " " not in word]
        clauses = [clause for clause in table.retractions if clause not in alone]
        alternatives += [any_of(clauses, table.space), rf"\b{any_of(alone)}\s*[,.;:!…—–-]"]
    return re.compile("|".join(alternatives), re.IGNORECASE)


# --- phrases and labels ----------------------------------------------------------------------------------------------


def _after_last_phrase(text: str, lang: str) -> Decimal | None:
    """The number that the last answer phrase or label introduces; those without one are passed over."""
    if ":" in text:
        text = _steps_heading(lang).sub(" ", text)
    for match in reversed(list(_phrase(lang).finditer(text))):
        if match["phrase"]:
            found = _in_sentence(text, match.end(), lang)
        elif match["label"]:
            found = _after_label(text, match.end(), lang, heads_the_text=_is_first(text, match, lang))
        elif match["heading"]:
            found = _after_label(text, match.end(), lang) if _fills_its_line(text, match, lang) else None
        else:
            number = numeral(lang).match(text, match.end())
            found = value(number, lang) if number else None
        if found is not None:
            return found
    return None


@cache
def _steps_heading(lang: str) -> re.Pattern[str]:
    """The heading above the reasoning: in some languages it ends in the word for 'answer' and a colon."""
    headings = any_of(wording(code).steps.rstrip(" :") for code in (lang, "en"))
    return re.compile(rf"{headings}\s*:", re.IGNORECASE)


@cache
def _phrase(lang: str) -> re.Pattern[str]:
    phrases, labels, headings, openers = [], [], [], []
    for table in own_and_english(lang):
        head = any_of(table.heads, table.space) + f"(?:{table.space}{any_of(table.modifiers, table.space)})?"
        phrases += [head + table.space + any_of(table.copulas, table.space), any_of(table.phrases, table.space)]
        labels += [rf"{head}\s*[:ঃ]", rf"{any_of(table.labels)}\s*[:ঃ]"]
        headings.append(rf"{head}[ \t]*(?=\n)")
        openers.append(any_of(table.openers, table.space) + _LEAD)
    kinds = {"phrase": phrases, "label": labels, "heading": headings, "opener": openers}
    return re.compile("|".join(f"(?P<{kind}>{'|'.join(these)})" for kind, these in kinds.items()), re.IGNORECASE)


def _in_sentence(text: str, start: int, lang: str) -> Decimal | None:
    """The first number in the rest of the sentence."""
    start = _end(_LEAD_OVER_LINES, text, start)
    sentence = text[start : _end(_SENTENCE, text, start)]
    found = _read(sentence, 0, len(sentence), lang)
    return found[0] if found else None


def _after_label(text: str, start: int, lang: str, heads_the_text: bool = False) -> Decimal | None:
    """The number right after 'Answer:' if it is the only one in its sentence, parentheses apart, or ends the text.

    Reasoning may begin in the same way, so a calculation counts only where no number comes after it, and another number
    in the sentence is allowed only on the last line with numbers, below other text.
    """
    start = _end(_LEAD_OVER_LINES, text, start)
    if not numeral(lang).match(text, start) or _is_list(text, start):
        return None
    stop = _end(_SENTENCE, text, start)
    sentence = _without_parentheses(text[start:stop])
    first, found = numeral(lang).match(sentence), _read(sentence, 0, len(sentence), lang)
    if first is None or found is None:
        return None
    is_calculation = found[1] > first.end()
    other = numeral(lang).search(sentence, found[1])
    if other is None:
        return None if is_calculation and numeral(lang).search(text, stop) else found[0]
    is_result = not heads_the_text and not is_calculation and not re.search("[=≈]", sentence)
    is_last = not numeral(lang).search(_without_parentheses(text[stop:]))
    return found[0] if is_result and is_last and _are_apart(sentence[first.end() : other.start()], lang) else None


def _is_list(text: str, start: int) -> bool:
    """Whether a numbered list begins: 'Answer: 18. So she ...' is none."""
    first = _LIST_NUMBER.match(text, start)
    if first is None:
        return False
    following = int(re.split("[.)]", first[0])[0][:9]) + 1
    return re.search(rf"^[ \t]*{following}[.)]\s", text[start:], re.MULTILINE) is not None


def _without_parentheses(text: str) -> str:
    return re.sub(r"\([^()]*\)", "", text)


def _are_apart(between: str, lang: str) -> bool:
    """Whether two numbers are not one quantity, such as a date ('5 May 2024'), a time or a list."""
    return len(between.split()) > 1 or (not words(lang).joined and len(between.strip()) > 2)


def _is_first(text: str, label: re.Match[str], lang: str) -> bool:
    """Whether a label begins the text: it may head the reasoning then. 'Final answer:' does not."""
    is_bare = label["label"].rstrip(": \tঃ").lower() in {word for t in own_and_english(lang) for word in t.heads}
    return is_bare and not text[: label.start()].strip("\n\t #*")


def _fills_its_line(text: str, heading: re.Match[str], lang: str) -> bool:
    before = text[text.rfind("\n", 0, heading.start()) + 1 : heading.start()].strip("# \t").lower()
    return not before or any(before in table.modifiers for table in own_and_english(lang))


# --- numbers in a row ------------------------------------------------------------------------------------------------


def _read(text: str, start: int, stop: int, lang: str) -> tuple[Decimal, int] | None:
    """The first number between two positions and where it ends; of a calculation, the number after the last '='."""
    number = numeral(lang).search(text, start, stop)
    if number is None:
        return None
    first, result, end = value(number, lang), None, number.end()
    while link := _LINK.match(text, end, stop):
        number = numeral(lang).match(text, link.end(), stop)
        if number is None:
            break
        result, end = value(number, lang) if link["operator"] in "=≈" else None, number.end()
    return (first if result is None else result), end


def _last_number(text: str, lang: str) -> Decimal | None:
    numbers = list(numeral(lang).finditer(text))
    if not numbers:
        return None
    bare = _in_bare_statement(text, lang)
    return value(numbers[-1], lang) if bare is None else bare


@cache
def _bare_statement(lang: str) -> re.Pattern[str]:
    within = any_of(word for table in own_and_english(lang) for word in table.within)
    units = rf"(?:\s{_UNIT}){{1,2}}"
    return re.compile(
        rf"[^0-9\n=≈]*\s(?P<result>\S*[0-9]\S*){units}\s{within}\s\S*[0-9]\S*{units}\s*\.?", re.IGNORECASE
    )


def _in_bare_statement(text: str, lang: str) -> Decimal | None:
    """The first number of a text that is one sentence about a place: 'She has 18 pens in 3 boxes.'"""
    if len(text) > _LONGEST:
        return None
    statement = _bare_statement(lang).fullmatch(text.strip())
    number = numeral(lang).search(statement["result"]) if statement else None
    return value(number, lang) if number else None


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start
