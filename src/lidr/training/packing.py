"""Batches as rows of token ids: each answer after its prompt, laid out with as little padding as the model allows.

    pair 1   prompt 11 12   chosen 21 22 9   rejected 31 9          9 ends a turn
    pair 2   prompt 13      chosen 23 9      rejected 33 34 9

    packed   input_ids     11 12 21 22 13 23 | 11 12 31 13 33 34           two lines
             position_ids   0  1  2  3  0  1 |  0  1  2  0  1  2
    padded   input_ids     11 12 21 22 | 13 23 0 0 | 11 12 31 0 | 13 33 34 0
             attention_mask 1  1  1  1 |  1  1 0 0 |  1  1  1 0 |  1  1  1 0

Packed rows follow one another without an attention mask: transformers finds their boundaries where positions restart,
and makes the masks itself, those of windows included. Lines of unequal length end in padding tokens, each a row of its
own. Where it costs less, each row has a line to itself, and `input_ids` alone are given: no row sees what comes after
it.

Most models of transformers separate rows where positions restart. Some silently do not, because of a recurrent state,
positions counted from the attention mask, or a mask made without the positions. None of these raises an error, so only
models for which a test finds the same results as row by row (`PACKED`) get packed rows. Padded ones are always right.

How rows share lines at the least cost:

    lengths  9 7 5 4 3           two lines, 15 wide           three lines, 10 wide          each row alone
                                 |999999999|4444|..           |999999999|.                  |999999999|
                                 |7777777|55555|333|          |7777777|333|                 |7777777|..
                                                              |55555|4444|.                 |55555|.... ...

A position costs what the model's products take, padding or not, and its attention costs more the wider the line. So
lines are about as wide as the longest row, and wider where this leaves less padding and they are still narrow for the
model. Rows that share a line are kept apart by a mask, and attention under a mask computes the whole square. Alone on
its line a row needs none, causality is enough: attention computes half. At rows of 4,000 tokens and a hidden size of
896, forwards and backwards took 1.46 times as long under the mask (two cores, torch 2.13).

An answer's last token is predicted and predicts nothing, so no row has it. `scored` are the places, in the flattened
tensor, of the tokens that predict an answer: those of the first chosen answer, of the second, ..., then the rejected
ones.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

if TYPE_CHECKING:
    import torch

# The width at which attention under a mask costs as much as all else at a position, in hidden sizes of the model.
BALANCE = 4
# How many lines more or fewer are looked at than rows as long as the longest would fill.
AROUND = 4

# `model_type` of the configs whose packed rows are tested (tests/training/test_families.py).
PACKED = frozenset(
    {
        *("llama", "mistral", "mixtral", "ministral", "ministral3", "qwen2", "qwen3", "qwen3_moe"),
        *("gemma", "gemma2", "gemma3", "gemma3_text", "phi3", "olmo2", "olmo3", "smollm3", "granite", "cohere2"),
        *("glm4", "exaone4", "gpt2", "gpt_neox"),
    }
)
# Implementations for which transformers makes the masks, whatever the number of lines.
_ATTENTION = {"sdpa", "eager"}

Spot = tuple[int, int]


class TokenizedPair(TypedDict):
    """Token ids of one pair, in the columns that TRL reads; an answer ends with the end of its turn.

    Supervised training leaves the rejected answer out.
    """

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: NotRequired[list[int]]


class InputRow(NamedTuple):
    """A prompt with one answer; `first` is the index of the token that predicts the answer's first one."""

    ids: list[int]
    first: int


def sides(pairs: Sequence[TokenizedPair]) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each row: all chosen ones in the order of the pairs, then all rejected ones, as for TRL."""
    chosen = [(pair["prompt_ids"], pair["chosen_ids"]) for pair in pairs]
    return chosen + [(pair["prompt_ids"], pair["rejected_ids"]) for pair in pairs if "rejected_ids" in pair]


def rows(pairs: Sequence[TokenizedPair]) -> list[InputRow]:
    """What the model computes of each side: all but the answer's last token."""
    return [InputRow([*prompt, *answer[:-1]], len(prompt) - 1) for prompt, answer in sides(pairs)]


def length(pair: TokenizedPair) -> int:
    """Tokens of a pair's rows, with the last ones of the answers."""
    return sum(len(prompt) + len(answer) for prompt, answer in sides([pair]))


def why_padded(model: Any) -> str | None:
    """Why this causal model gets padded rows, or None where its rows are packed; known from config and class alone."""
    config, text = model.config, model.config.get_text_config()
    kind = type(model)
    if not kind.__module__.startswith("transformers."):
        return f"{kind.__name__} is code of its own"
    if text._attn_implementation not in _ATTENTION:
        return f"packed rows are not tested under {text._attn_implementation} attention"
    if config.model_type not in PACKED:
        return f"packed rows are not tested for {config.model_type} models"
    return None


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


def share_out(lengths: Sequence[int], hidden_size: int) -> list[Spot]:
    """(line, start) of each row, on the number of lines that costs least."""
    full, each_alone = sum(lengths) // max(lengths), len(lengths)
    counts = {each_alone, *range(max(1, full - AROUND), min(each_alone, full + AROUND + 1))}
    layouts = (_on_lines(lengths, count, BALANCE * hidden_size) for count in sorted(counts))
    return min(layouts, key=lambda found: found[0])[1]


def are_alone(spots: Sequence[Spot]) -> bool:
    """Whether no two rows share a line."""
    return len({line for line, _ in spots}) == len(spots)


def _on_lines(lengths: Sequence[int], count: int, balance: int) -> tuple[float, list[Spot]]:
    """The longest row first, each on the line that is shortest so far; with what it costs."""
    lines = [(0, line) for line in range(count)]
    spots = [(0, 0)] * len(lengths)
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        taken, line = lines[0]
        spots[index] = (line, taken)
        heapq.heapreplace(lines, (taken + lengths[index], line))
    width = max(lines)[0]
    attention = width / balance / (2 if are_alone(spots) else 1)
    return count * width * (1 + attention), spots


def _laid_out(values: list[list[int]], spots: list[Spot], filler: int) -> torch.Tensor:
    import torch

    width = _width(map(len, values), spots)
    lines = torch.full((1 + max(line for line, _ in spots), width), filler)
    for (line, start), row in zip(spots, values, strict=True):
        lines[line, start : start + len(row)] = torch.tensor(row)
    return lines


def _scored(given: list[InputRow], spots: list[Spot]) -> torch.Tensor:
    import torch

    width = _width((len(row.ids) for row in given), spots)
    starts = [line * width + start for line, start in spots]
    return torch.tensor(
        [start + i for start, row in zip(starts, given, strict=True) for i in range(row.first, len(row.ids))]
    )


def _width(lengths: Any, spots: list[Spot]) -> int:
    return max(start + tokens for (_, start), tokens in zip(spots, lengths, strict=True))
