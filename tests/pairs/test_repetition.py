"""Loops at the end of a text, against a slow and obvious implementation."""

from __future__ import annotations

import random
import re

import pytest

from lidr.pairs.properties import ends_in_repetition


@pytest.mark.parametrize(
    ("text", "expected", "why"),
    [
        ("Son 59. " + "No, son 60. " * 8, True, "eight times the same sentence"),
        ("Son 59. " + "No, son 60. " * 7, False, "seven times are none yet"),
        ("ha" * 4 + " \n\n", False, "four times"),
        ("ha" * 8 + " \n\n", True, "white space after it"),
        ("The number is 1000000000", False, "a number"),
        ("1/3 = 0.33333333", False, "a fraction"),
        ("Signature: ________", False, "a field to fill in"),
        ("1 + 1 = 2\n" + "-" * 80, False, "a rule"),
        ("Happy birthday!!!!!!!!", False, "joy"),
        ("Answer: 18" + " " * 8, False, "white space alone"),
        ("| Anna | 18 |\n" * 8, False, "rows of a table"),
        ("1100" * 20, False, "digits, not so many"),
        ("哈" * 16, False, "laughter"),
        ("哈" * 100, True, "too much of it"),
        ("1" + "0" * 100, True, "digits to the limit"),
        ("\n" * 100, True, "white space to the limit"),
        ("| Anna | 18 |\n" * 20, True, "rows to the limit"),
        ("x" * 61 + "y", False, "another end"),
        (("x" * 59 + "y") * 8, True, "the longest unit"),
        (("x" * 60 + "y") * 8, False, "a longer one"),
        ("", False, "nothing"),
    ],
)
def test_loops(text: str, expected: bool, why: str) -> None:
    assert ends_in_repetition(text) is expected, why


def test_a_loop_of_words_is_what_a_regular_expression_finds() -> None:
    """The documented rule, implemented in the slow and obvious way."""
    pattern = re.compile(r"(?=\s*\S)(.{1,60}?)\1{7,}\s*$", re.DOTALL)
    rng, loops = random.Random(1), 0
    for _ in range(1000):
        unit = "".join(rng.choices(["la", "mi", " ", "\n"], k=rng.randint(1, 45)))
        text = (
            unit * rng.randint(1, 10) + unit[: rng.randint(0, 2)] + "".join(rng.choices(" \n\t", k=rng.randint(0, 5)))
        )
        found = ends_in_repetition(text)
        assert found == bool(pattern.search(text))
        loops += found
    assert loops > 100
