"""Training stops at the step in which the loss, the gradient's norm or a weight is not finite.

    class PreferenceTrainer(FiniteCheckMixin, DPOTrainer): ...

    $ lidr train m1
    Error: the loss is nan at step 12 of 70: training diverged and nothing is saved; try a lower
    train.dpo.learning_rate, or train.dtype: float32

transformers' Trainer reports such a loss as 0 (`logging_nan_inf_filter`) and goes on; clipping turns an infinite norm
into gradients of 0. The values are those of this process; each process of a launch looks at its own.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from lidr.errors import LidrError


class NotFiniteError(LidrError):
    """What is not finite, at which step, and what may help."""

    def __init__(self, what: str, value: float, step: int, steps: int) -> None:
        if step:
            reason = f"at step {step} of {steps}: training diverged and nothing is saved; "
            reason += "try a lower train.dpo.learning_rate, or train.dtype: float32"
        else:
            reason = "before training: the model that it begins with overflows; try train.dtype: float32"
        super().__init__(f"{what} is {value} {reason}")


class FiniteCheckMixin:
    """Mixin before a transformers Trainer: checks loss and gradient norm before each optimizer step.

    Add `callbacks.FiniteCallback` too, which checks what comes of the step. Raises NotFiniteError.
    """

    _step_loss: torch.Tensor | None = None

    def training_step(self, *arguments: Any, **values: Any) -> torch.Tensor:
        """The micro-batch's loss, kept for the check at the step's end."""
        loss: torch.Tensor = super().training_step(*arguments, **values)  # type: ignore[misc]
        self._step_loss = loss if self._step_loss is None else self._step_loss + loss
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)  # type: ignore[misc]
        assert self._step_loss is not None, "a step has one micro-batch or more"
        loss, self._step_loss = self._step_loss, None
        whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        # One check for both, so that a GPU synchronises once.
        both = torch.stack([loss.float(), torch.as_tensor(0.0 if whole is None else whole).to(loss.device).float()])
        for what, value in zip(("the loss", "the gradient's norm"), both.tolist(), strict=True):
            if not math.isfinite(value):
                state = self.state  # type: ignore[attr-defined]
                raise NotFiniteError(what, value, state.global_step + 1, state.max_steps)
        return norm


def largest_norm(model: Any) -> float:
    """The largest norm of a trained tensor: infinite or NaN where one of its weights is; shards count by themselves."""
    trained = [p.to_local() if hasattr(p, "to_local") else p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        norms = torch._foreach_norm([p.detach() for p in trained if p.numel()])
        return float(torch.stack([norm.float() for norm in norms]).max()) if norms else 0.0
