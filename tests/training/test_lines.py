"""Rows on shared lines: no overlaps, and the number and width of lines with the least cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lidr.training.packing import are_alone, share_out

HIDDEN = 128  # the lab's


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40), st.sampled_from([32, 128, 4096]))
def test_rows_stand_one_after_the_other_and_none_on_another(lengths: list[int], hidden_size: int) -> None:
    spots = share_out(lengths, hidden_size)
    ends: dict[int, int] = {}
    for (line, start), length in sorted(zip(spots, lengths, strict=True)):
        assert start == ends.get(line, 0)
        ends[line] = start + length
    assert sorted(ends) == list(range(len(ends)))


@pytest.mark.parametrize(
    ("lengths", "spots"),
    [
        ([5], [(0, 0)]),
        ([100, 100], [(0, 0), (1, 0)]),
        ([9, 7, 5, 4, 3], [(0, 0), (0, 9), (0, 16), (0, 21), (0, 25)]),
        ([300, 200, 100, 310], [(1, 0), (2, 0), (2, 200), (0, 0)]),
    ],
)
def test_the_number_of_lines_is_the_one_that_costs_least(lengths: list[int], spots: list[tuple[int, int]]) -> None:
    assert share_out(lengths, HIDDEN) == spots


def test_long_rows_have_lines_that_are_no_wider_than_the_longest() -> None:
    lengths = [2000, 1900, 1000, 900, 600, 300]
    spots = share_out(lengths, HIDDEN)
    assert max(start + length for (_, start), length in zip(spots, lengths, strict=True)) == 2000


def test_rows_of_one_length_have_a_line_each_and_need_no_mask() -> None:
    assert are_alone(share_out([2000] * 4, HIDDEN))
    assert are_alone(share_out([2000, 1900, 1950], HIDDEN))


def test_short_rows_share_lines_where_alone_they_would_be_padded() -> None:
    spots = share_out([90, 40, 40, 10], HIDDEN)
    assert spots == [(0, 0), (1, 0), (1, 40), (1, 80)]
    assert not are_alone(spots)


def test_a_wide_line_costs_a_large_model_less() -> None:
    lengths = [100, 60, 60, 60]
    assert are_alone(share_out(lengths, 32))
    assert {line for line, _ in share_out(lengths, 4096)} == {0}
