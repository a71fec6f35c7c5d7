"""Log-probabilities of the scored tokens, by the model's own head, which makes the logits in parts.

    rows               w1 w2 w3 a b | w1 w2 w3 x      scored: w3 a b w3 x
    hidden states      the backbone's at these five positions
    logits             made of 2**25 values at most, i.e. of 220 positions where the vocabulary has 152,000 tokens
    log-probabilities  of a b <end> x <end>

Where these are several parts, none of their logits are kept. A token's log-probability depends on the hidden state at
its own position alone, so its gradient is computed along with it, while the part's logits are there. That takes two
products with the vocabulary; TRL's tiles take three, for they recompute the logits in the backward pass. On two cores
and a vocabulary of 152,000, forwards and backwards took 0.41 times as long. On a GPU TRL's kernels read each logit
once, which PyTorch's own operations do not, so theirs are used there (scoring.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from lidr.models.targets import decoder_of

# Logits per part: 128 MiB in float32.
AT_ONCE = 2**25


@dataclass
class _Call:
    """What a forward pass is to compute; `outputs` are those of the decoder at these positions, once it has run."""

    positions: torch.Tensor
    targets: torch.Tensor | None
    outputs: Any = None


class ScoredPositions:
    """Has a causal model compute only what the tokens at given positions of its flattened rows need.

    Within `only`, the decoder returns the hidden states at the positions, so that the head makes no other logits. With
    `targets`, the model returns their `log_probs` and `entropy`, both (tokens,), in place of logits. Outside, the
    model is as it was.
    """

    def __init__(self, causal: Any) -> None:
        decoder = decoder_of(causal)
        # What TRL calls: the decoder itself, or what prepares its inputs.
        self._backbone = causal.base_model
        self._vocabulary: int = causal.config.get_text_config().vocab_size
        self._call: _Call | None = None
        self._compute, self._forward = decoder.forward, causal.forward
        decoder.forward, causal.forward = self._hidden_states, self._score

    @contextmanager
    def only(self, positions: torch.Tensor, targets: torch.Tensor | None = None) -> Iterator[None]:
        """Within it, one forward pass computes these positions only; `targets` are the tokens that follow them."""
        self._call = _Call(positions, targets)
        try:
            yield
        finally:
            self._call = None

    def _hidden_states(self, *arguments: Any, **given: Any) -> Any:
        """The decoder's forward pass: within `only` it is computed once, whatever the head asks for afterwards."""
        call = self._call
        if call is None:
            return self._compute(*arguments, **given)
        if call.outputs is None:
            call.outputs = self._compute(*arguments, **given)
            hidden = call.outputs.last_hidden_state
            call.outputs.last_hidden_state = hidden.reshape(-1, hidden.shape[-1])[call.positions][None]
        return call.outputs

    def _score(self, *arguments: Any, **given: Any) -> Any:
        call = self._call
        if call is None or call.targets is None:
            return self._forward(*arguments, **given)

        def logits(hidden: torch.Tensor) -> torch.Tensor:
            """The model's logits of these hidden states, scaled or capped as in its forward pass."""
            call.outputs.last_hidden_state = hidden[None]
            values: torch.Tensor = self._forward(*arguments, **given).logits[0]
            return values

        hidden = self._backbone(*arguments, **given).last_hidden_state[0]
        log_probs, entropy = score(logits, hidden, call.targets, max(1, AT_ONCE // self._vocabulary))
        return SimpleNamespace(log_probs=log_probs, entropy=entropy)


def score(
    logits: Callable[[torch.Tensor], torch.Tensor], hidden: torch.Tensor, targets: torch.Tensor, at_once: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the targets and entropies, both (tokens,) in float32, of hidden states (tokens, size).

    `logits` makes (rows, vocabulary) of (rows, size), for `at_once` rows at a time. Its weights get no gradient where
    this makes several parts.
    """
    if len(hidden) <= at_once:
        return from_logits(logits(hidden), targets)
    parts = zip(hidden.split(at_once), targets.split(at_once), strict=True)
    found = [_with_slope(logits, *part) for part in parts]
    log_probs, entropy, slopes = (torch.cat(values) for values in zip(*found, strict=True))
    if hidden.requires_grad:
        # Adds nothing but the gradient.
        log_probs = log_probs + ((hidden - hidden.detach()) * slopes).sum(-1)
    return log_probs, entropy


def _with_slope(
    logits: Callable[[torch.Tensor], torch.Tensor], hidden: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`from_logits` of a part, and each log-probability's gradient by its hidden state; none of them has a graph."""
    needed = hidden.requires_grad
    hidden = hidden.detach().requires_grad_(needed)
    log_probs, entropy = from_logits(logits(hidden), targets)
    slopes = torch.autograd.grad(log_probs.sum(), hidden)[0] if needed else hidden[:, :0]
    return log_probs.detach(), entropy, slopes


def from_logits(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each target's log-probability, and the entropy of its distribution, which has no gradient; both in float32."""
    all_log_probs = logits.float().log_softmax(-1)
    with torch.no_grad():
        entropy = -(all_log_probs.exp() * all_log_probs).sum(-1)
    return all_log_probs.gather(1, targets[:, None])[:, 0], entropy
