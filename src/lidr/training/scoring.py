"""The log-probabilities of a batch's answers, computed on rows of packing.py and laid out as TRL's loss reads them.

    rows             w1 w2 w3 a b | w1 w2 w3 x      scored: w3 a b w3 x
    TRL's layout     chosen    a b <end>            log-probabilities at w3 a b
                     rejected  x <end>              log-probabilities at w3 x

TRL computes log-probabilities in tiles of the vocabulary, and each tile a second time for its gradient, so that the
logits of large vocabularies are never there as a whole. Where they are small it is faster to make them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from lidr.training.packing import ScoredPositions, TokenizedPair, sides

# The label of a token that is not scored.
IGNORED = -100
# Logits that are made at once: 64 MiB of them in float32. The reference's batches have more pairs, and no gradients.
AT_ONCE = 2**24


def answers(pairs: Sequence[TokenizedPair], pad: int) -> dict[str, torch.Tensor]:
    """The batch in TRL's names: a row a side, the chosen ones first, of an answer after its prompt's last token.

    The loss is laid out in them, and they are no model's input, so that the rest of the prompt can be left out.
    """
    lines = [[prompt[-1], *answer] for prompt, answer in sides(pairs)]
    width = max(map(len, lines))
    mask = torch.tensor([[0] + [1] * (len(line) - 1) + [0] * (width - len(line)) for line in lines])
    ids = torch.tensor([line + [pad] * (width - len(line)) for line in lines])
    return {"input_ids": ids, "attention_mask": mask, "completion_mask": mask}


def fit_at_once(pairs: Sequence[TokenizedPair], pairs_per_batch: int, vocabulary: int) -> bool:
    """Whether the logits of any batch of these pairs are few enough; the same in all processes."""
    longest = max(sum(len(answer) for _, answer in sides([pair])) for pair in pairs)
    return longest * pairs_per_batch * vocabulary <= AT_ONCE


class AnswerScorer:
    """Stands for the model where TRL calls it: computes the batch's `rows`, answers in TRL's layout.

    TRL asks for log-probabilities of shape (2 x pairs, tokens - 1), chosen rows first, zero where nothing is scored.
    """

    def __init__(self, model: Any, positions: ScoredPositions, at_once: bool) -> None:
        self.model = model
        self.positions = positions
        self.at_once = at_once
        self.log_probs: torch.Tensor

    def __call__(
        self, *, rows: dict[str, torch.Tensor], labels: torch.Tensor, fused_lm_head: bool, use_cache: bool, **_: Any
    ) -> SimpleNamespace:
        wanted = labels[:, 1:] != IGNORED
        targets = labels[:, 1:][wanted]
        given = {name: values for name, values in rows.items() if name != "scored"} | {"use_cache": use_cache}
        with self.positions.only(rows["scored"]):
            if self.at_once:
                log_probs, entropy = from_logits(self.model(**given).logits[0], targets)
            else:
                outputs = self.model(**given, shift_labels=targets[None], fused_lm_head=fused_lm_head)
                log_probs, entropy = outputs.log_probs[0], outputs.entropy[0]
        self.log_probs = _laid_out(log_probs, wanted)
        # TRL makes metrics of the last two that no one reads here (trainer.METRIC_NAMES).
        return SimpleNamespace(
            log_probs=self.log_probs,
            entropy=_laid_out(entropy, wanted),
            mean_logits=torch.zeros_like(self.log_probs),
            is_top1=torch.zeros_like(wanted),
        )


def from_logits(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each target's log-probability, and the entropy of its distribution, which has no gradient; both in float32."""
    all_log_probs = logits.float().log_softmax(-1)
    with torch.no_grad():
        entropy = -(all_log_probs.exp() * all_log_probs).sum(-1)
    return all_log_probs.gather(1, targets[:, None])[:, 0], entropy


def _laid_out(values: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return values.new_zeros(wanted.shape).masked_scatter(wanted, values)
