"""Batches as rows of token ids: each answer after its prompt, laid out with as little padding as the model allows.

    pair 1   prompt 11 12   chosen 21 22 9   rejected 31 9          9 ends a turn
    pair 2   prompt 13      chosen 23 9      rejected 33 34 9

    packed   input_ids     11 12 21 22 13 23 | 11 12 31 13 33 34           two lines
             position_ids   0  1  2  3  0  1 |  0  1  2  0  1  2
    padded   input_ids     11 12 21 22 | 13 23 0 0 | 11 12 31 0 | 13 33 34 0
             attention_mask 1  1  1  1 |  1  1 0 0 |  1  1  1 0 |  1  1  1 0

Packed rows stand one after the other, and no attention mask is given: transformers sees from positions that begin again
that another row begins, and makes the masks itself, those of windows included. Lines of unequal length end in padding
tokens, each a row of its own. Which models can compute packed rows is the matter of packable.py. Where it costs less
(lines.py), each row has a line to itself: `input_ids` alone are given then, for no row sees what comes after it.

An answer's last token is predicted and predicts nothing, so no row has it. `scored` are the places, in the flattened
tensor, of the tokens that predict an answer: those of the first chosen answer, of the second, ..., then the rejected
ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

from lidr.training.lines import Spot, are_alone, share_out

if TYPE_CHECKING:
    import torch


class TokenizedPair(TypedDict):
    """Token ids of one pair, in the columns that TRL reads; an answer ends with the end of its turn.

    Supervised training leaves the rejected answer out.
    """

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: NotRequired[list[int]]


class Row(NamedTuple):
    """A prompt with one answer; `first` is the index of the token that predicts the answer's first one."""

    ids: list[int]
    first: int


def sides(pairs: Sequence[TokenizedPair]) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each row: all chosen ones in the order of the pairs, then all rejected ones, as for TRL."""
    chosen = [(pair["prompt_ids"], pair["chosen_ids"]) for pair in pairs]
    return chosen + [(pair["prompt_ids"], pair["rejected_ids"]) for pair in pairs if "rejected_ids" in pair]


def rows(pairs: Sequence[TokenizedPair]) -> list[Row]:
    """What the model computes of each side: all but the answer's last token."""
    return [Row([*prompt, *answer[:-1]], len(prompt) - 1) for prompt, answer in sides(pairs)]


def length(pair: TokenizedPair) -> int:
    """Tokens of a pair's rows, with the last ones of the answers."""
    return sum(len(prompt) + len(answer) for prompt, answer in sides([pair]))


def pack(pairs: Sequence[TokenizedPair], pad: int, hidden_size: int) -> dict[str, torch.Tensor]:
    """Rows without padding between them: `input_ids` (lines, tokens), `scored`, and `position_ids` of shared lines."""
    given = rows(pairs)
    spots = share_out([len(row.ids) for row in given], hidden_size)
    batch = {"input_ids": _laid_out([row.ids for row in given], spots, pad), "scored": _scored(given, spots)}
    if are_alone(spots):
        return batch
    return batch | {"position_ids": _laid_out([list(range(len(row.ids))) for row in given], spots, 0)}


def pad_right(pairs: Sequence[TokenizedPair], pad: int) -> dict[str, torch.Tensor]:
    """Rows with padding after them: `input_ids` and `attention_mask` (2 x pairs, tokens), and `scored`."""
    given = rows(pairs)
    spots = [(line, 0) for line in range(len(given))]
    return {
        "input_ids": _laid_out([row.ids for row in given], spots, pad),
        "attention_mask": _laid_out([[1] * len(row.ids) for row in given], spots, 0),
        "scored": _scored(given, spots),
    }


def _laid_out(values: list[list[int]], spots: list[Spot], filler: int) -> torch.Tensor:
    import torch

    width = _width(map(len, values), spots)
    lines = torch.full((1 + max(line for line, _ in spots), width), filler)
    for (line, start), row in zip(spots, values, strict=True):
        lines[line, start : start + len(row)] = torch.tensor(row)
    return lines


def _scored(given: list[Row], spots: list[Spot]) -> torch.Tensor:
    import torch

    width = _width((len(row.ids) for row in given), spots)
    starts = [line * width + start for line, start in spots]
    return torch.tensor(
        [start + i for start, row in zip(starts, given, strict=True) for i in range(row.first, len(row.ids))]
    )


def _width(lengths: Any, spots: list[Spot]) -> int:
    return max(start + tokens for (_, start), tokens in zip(spots, lengths, strict=True))
