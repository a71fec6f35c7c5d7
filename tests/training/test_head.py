"""Log-probabilities in parts: the same values and gradients as with all logits at once."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from lidr.training import head

ROWS, SIZE, VOCABULARY = 20, 8, 31


def scored(at_once: int, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """`score` by a head that caps its logits, like Gemma 2's, with the rows that it was called with."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(VOCABULARY, SIZE, generator=generator)
    targets = torch.randint(VOCABULARY, (ROWS,), generator=generator)
    asked: list[int] = []

    def logits(states: torch.Tensor) -> torch.Tensor:
        asked.append(len(states))
        return 3 * torch.tanh(states @ weight.T / 3)

    return *head.score(logits, hidden, targets, at_once), asked


def gradient(at_once: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[int]]:
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(ROWS, SIZE, generator=generator, requires_grad=True)
    log_probs, entropy, asked = scored(at_once, hidden)
    # As in a loss, each token has another weight.
    (log_probs * torch.randn(ROWS, generator=generator)).sum().backward()
    assert hidden.grad is not None
    return log_probs.detach(), entropy, hidden.grad, asked


@pytest.mark.parametrize("at_once, parts", [(7, [7, 7, 6]), (1, [1] * ROWS), (19, [19, 1])])
def test_parts_have_the_values_and_the_gradient_of_the_whole(at_once: int, parts: list[int]) -> None:
    log_probs, entropy, slopes, asked = gradient(at_once)
    *whole, asked_at_once = gradient(ROWS)
    assert (asked, asked_at_once) == (parts, [ROWS])
    for found, expected in zip((log_probs, entropy, slopes), whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_reference_values_are_those_of_the_trained_model_to_the_bit() -> None:
    """So the first margins are zero."""
    hidden = torch.randn(ROWS, SIZE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        reference, _, _ = scored(7, hidden)
    trained, _, _ = scored(7, hidden.requires_grad_())
    assert not reference.requires_grad and trained.requires_grad
    assert torch.equal(reference, trained.detach())
