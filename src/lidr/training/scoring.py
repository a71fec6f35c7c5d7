"""The log-probabilities of a batch's answers, computed on rows of packing.py and laid out as TRL's loss reads them.

    rows             w1 w2 w3 a b | w1 w2 w3 x      scored: w3 a b w3 x
    TRL's layout     chosen    a b <end>            log-probabilities at w3 a b
                     rejected  x <end>              log-probabilities at w3 x

The model's head makes them in parts (head.py). On a GPU TRL's kernels do so in tiles of the vocabulary; and where
processes hold shards of the weights, they gather the head's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch

from lidr.training.head import ScoredPositions
from lidr.training.packing import TokenizedPair, sides

# The label of a token that is not scored.
IGNORED = -100


def answers(pairs: Sequence[TokenizedPair], pad: int) -> dict[str, torch.Tensor]:
    """The batch in TRL's names: a row a side, the chosen ones first, of an answer after its prompt's last token.

    The loss is laid out in them, and they are no model's input, so that the rest of the prompt can be left out.
    """
    lines = [[prompt[-1], *answer] for prompt, answer in sides(pairs)]
    width = max(map(len, lines))
    mask = torch.tensor([[0] + [1] * (len(line) - 1) + [0] * (width - len(line)) for line in lines])
    ids = torch.tensor([line + [pad] * (width - len(line)) for line in lines])
    return {"input_ids": ids, "attention_mask": mask, "completion_mask": mask}


@dataclass
class AnswerScorer:
    """Stands for the model where TRL calls it: computes the batch's `model_inputs`, answers in TRL's layout.

    TRL asks for log-probabilities of shape (2 x pairs, tokens - 1), chosen rows first, zero where nothing is scored.
    """

    model: Any
    positions: ScoredPositions
    in_tiles: bool
    log_probs: torch.Tensor = field(init=False)

    def __call__(
        self,
        *,
        model_inputs: dict[str, torch.Tensor],
        labels: torch.Tensor,
        fused_lm_head: bool,
        use_cache: bool,
        **_: Any,
    ) -> SimpleNamespace:
        wanted = labels[:, 1:] != IGNORED
        targets = labels[:, 1:][wanted]
        given = {name: values for name, values in model_inputs.items() if name != "scored"} | {"use_cache": use_cache}
        if self.in_tiles:
            with self.positions.only(model_inputs["scored"]):
                outputs = self.model(**given, shift_labels=targets[None], fused_lm_head=fused_lm_head)
        else:
            with self.positions.only(model_inputs["scored"], targets):
                outputs = self.model(**given)
        self.log_probs = _laid_out(outputs.log_probs, wanted)
        # TRL makes metrics of the last two, which are not read here (trainer.METRIC_NAMES).
        return SimpleNamespace(
            log_probs=self.log_probs,
            entropy=_laid_out(outputs.entropy, wanted),
            mean_logits=torch.zeros_like(self.log_probs),
            is_top1=torch.zeros_like(wanted),
        )


def _laid_out(values: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return values.new_zeros(wanted.shape).masked_scatter(wanted, values)
