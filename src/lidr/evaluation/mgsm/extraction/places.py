"""Where the answer stands in a normalised text: the first of these places that holds a number.

1. `####`, GSM8K's mark; the first one, since a model that goes on writes another problem's.
2. `<answer>` tags, the last pair.
3. The last `\\boxed{}`, unless it is taken back or another answer is stated after it.
4. The last phrase such as 'The answer is', or a label such as 'Answer:', in the item's language or English, unless it
   is taken back.
5. The last number, or what the last sentence with numbers states as the result.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from itertools import islice

from lidr.evaluation.mgsm.extraction.numerals import numeral, value
from lidr.evaluation.mgsm.extraction.statements import (
    LEAD_OVER_LINES,
    LONGEST,
    UNIT,
    Quantity,
    after,
    quantities,
    quantity,
    sentence_end,
    signed,
    stated,
    without_asides,
)
from lidr.evaluation.mgsm.extraction.words import Words, any_of, own_and_english, wording, words
from lidr.evaluation.mgsm.extraction.writing import CURRENCY

# What may stand between a mark and its number without a word.
_LEAD = rf"[ \t*:={CURRENCY}]{{0,40}}"
_NO_NUMBER = re.compile(r"(?:[^0-9()]+|\([^()]*\)|[()])*")
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
        box = text[match.end() : end]
        found = quantity(box, 0, len(box), lang)
        if found is not None:
            sign = signed(box, found, lang)
            boxed = found.value if sign is None else sign
            corrected = _correction(boxed, text[end:], lang)
            return boxed if corrected is None else corrected
    return None


def _closing_brace(text: str, start: int) -> int:
    depth, end = 1, min(len(text), start + LONGEST)
    for position in range(start, end):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return end


def _correction(boxed: Decimal, rest: str, lang: str) -> Decimal | None:
    """The answer after a box was taken back, or that a later phrase gives at once ('The answer is 3')."""
    corrected = _in_place_of(boxed, rest, lang)
    if corrected is not None:
        return corrected
    for match in reversed(list(_phrase(lang).finditer(rest))):
        if match["phrase"] and numeral(lang).match(rest, after(LEAD_OVER_LINES, rest, match.end())):
            return stated(rest, match.end(), lang, _is_own(match, lang))
    return None


def _in_place_of(found: Decimal, rest: str, lang: str) -> Decimal | None:
    """The answer after `found` was taken back in words; None where it was not, or nothing else is said.

    A pause ('Wait, let me check') or the heading of a correction takes back only what is not said again after it.
    """
    retraction = _retraction(lang).search(rest)
    if retraction is None:
        return None
    rest = rest[retraction.end() :]
    said = [one.value for one in without_asides(rest, lang)]
    if not said or (retraction["pause"] and found in said):
        return None
    phrased = _after_last_phrase(rest, lang)
    return said[-1] if phrased is None else phrased


@cache
def _retraction(lang: str) -> re.Pattern[str]:
    """A clause that takes back, where a sentence begins; a pause is one only before a mark ('Wait, ...')."""
    tables = own_and_english(lang)
    clauses = "|".join(any_of(table.retractions, table.space) for table in tables)
    pauses = "|".join((r"\b" if table.joined else "") + any_of(table.pauses, table.space) for table in tables)
    pause = rf"\s*(?:[^\W\d]+[,!、]?\s?)?(?P<pause>{pauses})\s*[,.;:!…—–、。-]"
    return re.compile(rf"(?:\A|[.!?\n。！？।}}])(?:[^.!?\n。！？।0-9]{{0,25}}?(?:{clauses})|{pause})", re.IGNORECASE)


# --- phrases and labels ----------------------------------------------------------------------------------------------


def _after_last_phrase(text: str, lang: str) -> Decimal | None:
    """The number that the last answer phrase or label introduces, or its correction; those without one are passed."""
    if ":" in text:
        text = _steps_heading(lang).sub(" ", text)
    for match in reversed(list(_phrase(lang).finditer(text))):
        if match["phrase"]:
            is_verdict = _verdict(lang).match(text, match.end())
            found = None if is_verdict else stated(text, match.end(), lang, _is_own(match, lang))
        elif match["label"]:
            heads = _is_first(text, match, lang)
            found = _after_label(text, match.end(), lang, _is_own(match, lang), heads_the_text=heads)
        elif match["heading"]:
            fills = _fills_its_line(text, match, lang)
            found = _after_label(text, match.end(), lang, _is_own(match, lang)) if fills else None
        else:
            number = numeral(lang).match(text, match.end())
            found = stated(text, match.end(), lang, _is_own(match, lang)) if number else None
        if found is not None:
            corrected = _in_place_of(found, text[match.end() :], lang)
            return found if corrected is None else corrected
    return None


def _is_own(phrase: re.Match[str], lang: str) -> bool:
    """Whether it is a phrase of the language, where models answer in English too."""
    return lang == "en" or _phrase("en").match(phrase[0]) is None


@cache
def _steps_heading(lang: str) -> re.Pattern[str]:
    """The heading above the reasoning: in some languages it ends in the word for 'answer' and a colon."""
    headings = any_of(wording(code).steps.rstrip(" :") for code in (lang, "en"))
    return re.compile(rf"{headings}\s*:", re.IGNORECASE)


@cache
def _phrase(lang: str) -> re.Pattern[str]:
    phrases, labels, headings, openers = [], [], [], []
    for table in own_and_english(lang):
        head = _noun(table.heads, table)
        phrases += [head + table.space + any_of(table.copulas, table.space), any_of(table.phrases, table.space)]
        labels += [rf"{head}\s*[:ঃ]", rf"{any_of(table.labels)}\s*[:ঃ]"]
        headings.append(rf"{head}[ \t]*(?=\n)")
        openers.append(any_of(table.openers, table.space) + _LEAD)
    kinds = {"phrase": phrases, "label": labels, "heading": headings, "opener": openers}
    return re.compile("|".join(f"(?P<{kind}>{'|'.join(these)})" for kind, these in kinds.items()), re.IGNORECASE)


def _noun(nouns: tuple[str, ...], table: Words) -> str:
    return any_of(nouns, table.space) + f"(?:{table.space}{any_of(table.modifiers, table.space)})?"


@cache
def _verdict(lang: str) -> re.Pattern[str]:
    """What makes of 'The answer is' a statement about an answer: 'correct', 'indeed right'."""
    alternatives = []
    for table in own_and_english(lang):
        gap, end = (r"\s*(?:[^\W\d]+\s+)?", r"(?!\w)") if table.joined else (r"\s*", "")
        alternatives.append(gap + any_of(table.verdicts, table.space) + end)
    return re.compile("|".join(alternatives), re.IGNORECASE)


def _after_label(text: str, start: int, lang: str, is_own: bool = True, heads_the_text: bool = False) -> Decimal | None:
    """The number right after 'Answer:' if it is the only one in its sentence, parentheses apart, or ends the text.

    Reasoning may begin in the same way, so a calculation, or a number after a word ('Rs. 500'), counts only where no
    number comes after it, and another number in the sentence is allowed only on the last line with numbers: below other
    text, or where the two are all that the sentence says ('18 eggs, 3 boxes').
    """
    start = after(LEAD_OVER_LINES, text, start)
    stop = sentence_end(text, start)
    sentence = _without_parentheses(text[start:stop])
    found = list(islice(quantities(sentence, lang), 3))
    first = signed(sentence, found[0], lang) if found else None
    if first is None or _is_list(text, start):
        return None
    is_last = _is_last(text, stop, lang)
    if found[0].start and not (is_last and words(lang).joined):
        return None
    if len(found) == 1:
        return None if found[0].is_calculation and numeral(lang).search(text, stop) else first
    is_result = is_last and not any(one.is_calculation for one in found) and not re.search("[=≈]", sentence)
    is_only = len(without_asides(sentence, lang)) == 1
    is_clear = is_only or not heads_the_text or _is_short(sentence, found)
    are_apart = is_only or _are_apart(sentence[found[0].end : found[1].start], lang)
    return stated(text, start, lang, is_own) if is_result and is_clear and are_apart else None


def _is_list(text: str, start: int) -> bool:
    """Whether a numbered list begins: 'Answer: 18. So she ...' is none."""
    first = _LIST_NUMBER.match(text, start)
    if first is None:
        return False
    following = int(re.split("[.)]", first[0])[0][:9]) + 1
    return re.search(rf"^[ \t]*{following}[.)]\s", text[start:], re.MULTILINE) is not None


def _without_parentheses(text: str) -> str:
    return re.sub(r"\([^()]*\)", "", text)


def _is_last(text: str, stop: int, lang: str) -> bool:
    """Whether no number stands behind a position, parentheses apart."""
    start = after(_NO_NUMBER, text, stop)
    if numeral(lang).match(text, start):
        return False
    return numeral(lang).search(_without_parentheses(text[start:])) is None


def _are_apart(between: str, lang: str) -> bool:
    """Whether two numbers are not one quantity, such as a date ('5 May 2024'), a time or a list."""
    if re.search(r"\w\S*,", between):
        return True
    return len(between.split()) > 1 or (not words(lang).joined and len(between.strip()) > 2)


def _is_short(sentence: str, found: list[Quantity]) -> bool:
    """Whether a sentence holds two quantities and nothing that could be a step: '18 dollars for 9 eggs'."""
    between, behind = sentence[found[0].end : found[1].start], sentence[found[1].end :]
    return len(found) == 2 and len(between.split()) <= 4 and len(behind.split()) <= 2


def _is_first(text: str, label: re.Match[str], lang: str) -> bool:
    """Whether a label begins the text: it may head the reasoning then. 'Final answer:' does not."""
    is_bare = label["label"].rstrip(": \tঃ").lower() in {word for t in own_and_english(lang) for word in t.heads}
    return is_bare and not text[: label.start()].strip("\n\t #*")


def _fills_its_line(text: str, heading: re.Match[str], lang: str) -> bool:
    before = text[text.rfind("\n", 0, heading.start()) + 1 : heading.start()].strip("# \t").lower()
    return not before or any(before in table.modifiers for table in own_and_english(lang))


# --- the last number -------------------------------------------------------------------------------------------------


def _last_number(text: str, lang: str) -> Decimal | None:
    numbers = list(numeral(lang).finditer(text))
    if not numbers:
        return None
    for statement in (_in_last_result, _in_bare_statement):
        found = statement(text, lang)
        if found is not None:
            return found
    return value(numbers[-1], lang)


@cache
def _result(lang: str) -> re.Pattern[str]:
    alternatives = []
    for table in own_and_english(lang):
        ends = rf"(?:{table.space}{any_of(table.copulas, table.space)}|\s*[:ঃ])"
        alternatives.append(_noun(table.results, table) + ends)
    return re.compile("|".join(alternatives), re.IGNORECASE)


def _in_last_result(text: str, lang: str) -> Decimal | None:
    """The number after 'The result is', in the last sentence with numbers: each step has a result."""
    match = next(reversed(list(_result(lang).finditer(text))), None)
    is_last = match is not None and _is_last(text, sentence_end(text, match.end()), lang)
    return stated(text, match.end(), lang) if match and is_last else None


@cache
def _bare_statement(lang: str) -> re.Pattern[str]:
    asides = any_of(word for table in own_and_english(lang) if not table.answer_last for word in table.asides)
    units = rf"(?:\s{UNIT}){{1,2}}"
    return re.compile(
        rf"[^0-9\n=≈]*\s(?P<result>\S*[0-9]\S*){units}\s{asides}\s\S*[0-9]\S*{units}\s*\.?", re.IGNORECASE
    )


def _in_bare_statement(text: str, lang: str) -> Decimal | None:
    """The first number of a text that is one sentence with an aside: 'She has 18 pens in 3 boxes.'"""
    if len(text) > LONGEST:
        return None
    statement = _bare_statement(lang).fullmatch(text.strip())
    number = numeral(lang).search(statement["result"]) if statement else None
    return value(number, lang) if number else None
