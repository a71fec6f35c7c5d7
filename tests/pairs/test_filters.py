"""Each filter on texts that it drops and texts that it keeps, and filters in params.yaml."""

from __future__ import annotations

import msgspec
import pytest
from factories import prompt

from lidr.pairs.filters import FILTERS, Candidate, Side, enabled, problem
from lidr.records import PromptKind, Source

LANGUAGES = ("en", "es", "de")
ENGLISH = "The ducks lay sixteen eggs every day, and she sells the rest of them."
SPANISH = "Los patos ponen dieciséis huevos cada día y ella vende los que quedan."


def candidate(chosen: Side | str, rejected: Side | str, gold: str | None = None, **fields: object) -> Candidate:
    asked = msgspec.structs.replace(prompt("p1", "es"), **({} if gold is None else {"answer": gold}), **fields)
    sides = [Side(side) if isinstance(side, str) else side for side in (chosen, rejected)]
    return Candidate(asked, sides[0], sides[1], LANGUAGES)


# (filter, candidate, its detail; None keeps the pair)
CASES: dict[str, tuple[str | dict, Candidate, str | None]] = {
    "same text": ("identical", candidate("Son 25.", " Son 25.\n"), "chosen and rejected are the same text"),
    "other text": ("identical", candidate("Son 25.", "Son 26."), None),
    "chosen in a loop": ("repeated", candidate("Son " * 9, "Son 25."), "chosen: the answer ends in a loop"),
    "rejected in a loop": ("repeated", candidate("Son 25.", "Son " * 9), None),
    "chosen in English": ("off_target", candidate(ENGLISH, SPANISH), "chosen: not in es"),
    "translation into English": ("off_target", candidate(ENGLISH, SPANISH, kind=PromptKind.TRANSLATION), None),
    "rejected in English": ("off_target", candidate(SPANISH, ENGLISH), None),
    "chosen refuses": ("refusal", candidate("Lo siento, pero no puedo.", "Son 25."), "chosen: the answer is a refusal"),
    "rejected refuses": ("refusal", candidate("Son 25.", "Lo siento, pero no puedo."), None),
    "chosen with a tag": ("markers", candidate("25</translated>", "26"), "chosen: it holds </translated>"),
    "rejected with a tag": ("markers", candidate("25", "26 </sentence>"), "rejected: it holds </sentence>"),
    "chosen translation loses a number": (
        "numbers_lost",
        candidate(Side("Son 25.", "20 + 5 are 25."), "Son 25."),
        "chosen: the translation has other numbers than the answer",
    ),
    "rejected translation has another number": (
        "numbers_lost",
        candidate("25", Side("Son 26.", "20 + 5 are 25.")),
        "rejected: the translation has other numbers than the answer",
    ),
    "no tag": ("markers", candidate("25 < 26", "26"), None),
    "marks inside numbers differ": ("numbers_lost", candidate(Side("1.200,5", "1,200.5"), "1"), None),
    "own answers have any numbers": ("numbers_lost", candidate("25", "1, 2, 3"), None),
    "three times as long": ("length_ratio", candidate("abc", "a"), "one answer is 3.0 times as long as the other"),
    "just twice as long": ("length_ratio", candidate("ab", "a"), None),
    "twice as long, 1.5 allowed": (
        {"name": "length_ratio", "most": 1.5},
        candidate("a", "ab"),
        "one answer is 2.0 times as long as the other",
    ),
    "one letter of many differs": (
        "near_identical",
        candidate("La respuesta a la pregunta es 25.", "La respuesta a la pregunta es 26."),
        "chosen and rejected are all but the same text",
    ),
    "the same, by a stricter measure": (
        {"name": "near_identical", "at_least": 0.99},
        candidate("La respuesta a la pregunta es 25.", "La respuesta a la pregunta es 26."),
        None,
    ),
    "chosen right, rejected wrong": ("right", candidate("La respuesta es 25.", "La respuesta es 26.", "25"), None),
    "both right": (
        "right",
        candidate("La respuesta es 25.", "Son 25.", "25"),
        "rejected: the answer is right by the gold answer",
    ),
    "both wrong": (
        "right",
        candidate("La respuesta es 24.", "Son 23.", "25"),
        "chosen: the answer is wrong by the gold answer",
    ),
    "no gold answer": ("right", candidate("Son 24.", "Son 25."), None),
    "a gold answer that is no number": ("right", candidate("Son 24.", "Son 25.", "many"), None),
    "a translation request": ("right", candidate("Son 24.", "Son 25.", "25", kind=PromptKind.TRANSLATION), None),
    "the lab wants the language as well": (
        "right",
        candidate("The answer is 25.", "Son 26.", "25", source=Source(name="lab/iterations", row=0)),
        "chosen: the answer is wrong by the gold answer",
    ),
}


@pytest.mark.parametrize(("entry", "pair", "expected"), CASES.values(), ids=CASES.keys())
def test_filter(entry: str | dict, pair: Candidate, expected: str | None) -> None:
    found = enabled([entry])(pair)
    name = entry if isinstance(entry, str) else entry["name"]
    assert found == (None if expected is None else (name, expected))


def test_every_filter_has_a_case_either_way() -> None:
    names = {(entry if isinstance(entry, str) else entry["name"], said is None) for entry, _, said in CASES.values()}
    assert names == {(name, kept) for name in FILTERS for kept in (True, False)}


def test_the_first_in_their_own_order_is_counted() -> None:
    pair = candidate("Lo siento, pero no. </translated>", "x")
    assert enabled(["length_ratio", "markers", "refusal"])(pair) == ("refusal", "chosen: the answer is a refusal")
    assert enabled([])(pair) is None


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["identical", {"name": "length_ratio", "most": 3}], None),
        (["identic"], "'identic' is no filter; there are identical, repeated"),
        (["markers", {"name": "markers"}], "'markers' stands twice"),
        ([{"most": 3}], "a filter's name, or a mapping with its name"),
        ([{"name": "length_ratio", "least": 3}], "'length_ratio' has no option 'least'; it has most"),
        ([{"name": "markers", "most": 3}], "'markers' has no option 'most'; it has none"),
        ([{"name": "length_ratio", "most": "3"}], "length_ratio.most: a number above 0 is expected, not '3'"),
        ([{"name": "length_ratio", "most": True}], "length_ratio.most: a number above 0 is expected, not True"),
    ],
)
def test_what_params_may_say(entries: list, expected: str | None) -> None:
    found = problem(entries)
    assert found is None if expected is None else (found or "").startswith(expected)
