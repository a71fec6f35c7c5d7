"""A pair as one row, so that what chosen and rejected share is computed once: the prompt, and how both answers begin.

    prompt  w1 w2 w3          chosen  a b c <end>          rejected  a y <end>

    row        w1 w2 w3 | a b c | a y
    branch      0  0  0 | 1 1 1 | 2 2         what a token sees: branch 0, and its own up to itself
    position    0  1  2 | 3 4 5 | 3 4
    predicts          a   b c <end> y <end>   tokens of answers; w3 predicts one of each answer

Each branch begins with a copy of the last token that the two share, which predicts the first one in which they differ.
An answer's last token is predicted and predicts nothing, so it is not in the row. The log-probabilities are those of
two rows of their own (`prompt a b c`, `prompt a y`) to rounding, for a model whose only view of other tokens is plain
causal attention. For others the rows stay apart (`shared_prompt=False`).

In a batch, the rows of several pairs stand one after the other on one line of the tensors, so that lengths may differ
and little is padding (lines.py). A branch is then 3 x pair + 0, 1 or 2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from lidr.errors import InputError
from lidr.training.lines import share_out

if TYPE_CHECKING:
    import torch

SHARED, CHOSEN, REJECTED, PADDING = 0, 1, 2, -1
BRANCHES = 3  # of a pair

# How far sharing the prompt may move a token's log-probability, in nats: rounding, by precision.
SHARING_TOLERANCE = {"torch.float32": 1e-3, "torch.bfloat16": 0.25, "torch.float16": 0.05}


class TokenizedPair(TypedDict):
    """Token ids of one pair, in the columns that TRL reads; an answer ends with the end of its turn."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]


@dataclass(frozen=True)
class Row:
    """One row of a batch. `scored` are the indices within it, those of chosen and those of rejected."""

    input_ids: list[int]
    positions: list[int]
    branches: list[int]
    scored: tuple[list[int], list[int]]


def joined(pair: TokenizedPair) -> list[Row]:
    """One row: the part that both sides share, and the two branches."""
    both = [*pair["prompt_ids"], *_common_beginning(pair["chosen_ids"], pair["rejected_ids"])]
    start, answered = len(both) - 1, len(both) - len(pair["prompt_ids"])
    chosen, rejected = ([both[-1], *pair[side][answered:-1]] for side in ("chosen_ids", "rejected_ids"))  # type: ignore[literal-required]
    ends = start + len(chosen), start + len(chosen) + len(rejected)
    in_both = list(range(start - answered, start))
    return [
        Row(
            input_ids=[*both[:-1], *chosen, *rejected],
            positions=[*range(ends[0]), *range(start, start + len(rejected))],
            branches=[SHARED] * start + [CHOSEN] * len(chosen) + [REJECTED] * len(rejected),
            scored=([*in_both, *range(start, ends[0])], [*in_both, *range(*ends)]),
        )
    ]


def _common_beginning(chosen: list[int], rejected: list[int]) -> list[int]:
    """The tokens with which both answers begin, but for the last one of either."""
    beginning = itertools.takewhile(lambda both: both[0] == both[1], zip(chosen[:-1], rejected[:-1], strict=False))
    return [token for token, _ in beginning]


def apart(pair: TokenizedPair) -> list[Row]:
    """Two rows: the prompt with each answer."""
    rows = []
    for branch, answer in ((CHOSEN, pair["chosen_ids"]), (REJECTED, pair["rejected_ids"])):
        ids = [*pair["prompt_ids"], *answer[:-1]]
        scored = list(range(len(pair["prompt_ids"]) - 1, len(ids)))
        rows.append(
            Row(
                input_ids=ids,
                positions=list(range(len(ids))),
                branches=[SHARED] * len(ids),
                scored=(scored, []) if branch == CHOSEN else ([], scored),
            )
        )
    return rows


def pack(pairs: Sequence[TokenizedPair], pad: int, shared_prompt: bool) -> dict[str, torch.Tensor]:
    """Tensors of a batch: `packed_ids`, `packed_positions`, `packed_branches` (lines, tokens) and where values are.

    `packed_scored` are the scored positions of the flattened lines, each once. `packed_order` has the place among them
    of each answer's tokens: those of all chosen answers in the order of the pairs, then those of all rejected ones,
    which is the order of TRL's completion mask.
    """
    import torch

    rows = [row for pair in pairs for row in (joined(pair) if shared_prompt else apart(pair))]
    lengths = [len(row.input_ids) for row in rows]
    spots = share_out(lengths) if shared_prompt else [(number, 0) for number in range(len(rows))]
    lines = 1 + max(line for line, _ in spots)
    width = max(start + length for (_, start), length in zip(spots, lengths, strict=True))

    def laid_out(values: Iterable[list[int]], filler: int) -> torch.Tensor:
        flat = [filler] * (lines * width)
        for (line, start), row in zip(spots, values, strict=True):
            flat[line * width + start : line * width + start + len(row)] = row
        return torch.tensor(flat).view(lines, width)

    scored = [
        line * width + start + i
        for side in (0, 1)
        for (line, start), row in zip(spots, rows, strict=True)
        for i in row.scored[side]
    ]
    places = {position: place for place, position in enumerate(dict.fromkeys(scored))}
    return {
        "packed_ids": laid_out((row.input_ids for row in rows), pad),
        "packed_positions": laid_out((row.positions for row in rows), 0),
        "packed_branches": laid_out(
            ([number * BRANCHES + branch for branch in row.branches] for number, row in enumerate(rows)), PADDING
        ),
        "packed_scored": torch.tensor(list(places)),
        "packed_order": torch.tensor([places[position] for position in scored]),
    }


def attention_mask(branches: torch.Tensor) -> torch.Tensor:
    """What each token sees, as booleans (rows, 1, tokens, tokens); a token always sees itself, padding nothing else."""
    import torch

    tokens = branches.shape[1]
    query, key = branches[:, :, None], branches[:, None, :]
    causal = torch.ones(tokens, tokens, dtype=torch.bool, device=branches.device).tril()
    itself = torch.eye(tokens, dtype=torch.bool, device=branches.device)
    same_pair = key // BRANCHES == query // BRANCHES
    seen = causal & (query != PADDING) & same_pair & ((key % BRANCHES == SHARED) | (key == query))
    return (seen | itself)[:, None]


def packed_inputs(batch: dict[str, torch.Tensor], shared_prompt: bool) -> dict[str, torch.Tensor]:
    """The packed part of a batch as the arguments of a model that has `ScoredPositions`."""
    branches = batch["packed_branches"]
    return {
        "input_ids": batch["packed_ids"],
        "attention_mask": attention_mask(branches) if shared_prompt else (branches != PADDING).long(),
        "position_ids": batch["packed_positions"],
        "scored": batch["packed_scored"],
    }


def check_sharing(model: Any, pairs: Sequence[TokenizedPair], pad: int) -> None:
    """Compare the log-probabilities of a few pairs packed both ways; raises InputError where they differ.

    They do in a model whose tokens see each other in another way than by plain causal attention: through a window, a
    recurrent state, or kernels that take no mask.
    """
    together, single = (_log_probabilities(model, pairs, pad, shared) for shared in (True, False))
    difference = float((together - single).abs().max())
    if not difference < SHARING_TOLERANCE[str(model.dtype)]:
        raise InputError(
            f"{type(model).__name__} cannot share a prompt between chosen and rejected: a token's log-probability is "
            f"off by {difference:.2g}; set train.shared_prompt to false"
        )


def _log_probabilities(model: Any, pairs: Sequence[TokenizedPair], pad: int, shared_prompt: bool) -> torch.Tensor:
    import torch

    batch = {name: value.to(model.device) for name, value in pack(pairs, pad, shared_prompt).items()}
    answers = [token for side in ("chosen_ids", "rejected_ids") for pair in pairs for token in pair[side]]  # type: ignore[literal-required]
    with torch.inference_mode():
        logits = model(**packed_inputs(batch, shared_prompt), use_cache=False).logits[0].float()
    by_answer = logits.log_softmax(-1)[batch["packed_order"]]
    return by_answer.gather(1, torch.tensor(answers, device=logits.device)[:, None])[:, 0]


class ScoredPositions:
    """Lets a causal model's backbone return only the hidden states at given positions of its flattened rows.

    A language model's head then makes logits for these alone: a prompt's tokens have none to be scored. The positions
    are the keyword argument `scored` of the model's call; without it the model is as it was.
    """

    def __init__(self, backbone: Any) -> None:
        self._scored: torch.Tensor | None = None
        backbone.register_forward_pre_hook(self._take, with_kwargs=True)
        backbone.register_forward_hook(self._keep)

    def _take(self, module: Any, arguments: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self._scored = kwargs.pop("scored", None)
        return arguments, kwargs

    def _keep(self, module: Any, arguments: Any, outputs: Any) -> Any:
        if self._scored is not None:
            hidden = outputs.last_hidden_state
            outputs.last_hidden_state = hidden.reshape(-1, hidden.shape[-1])[self._scored][None]
            self._scored = None
        return outputs
