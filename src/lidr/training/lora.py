"""LoRA's linear layers with fewer operations while they train in float32: one product where PEFT has three.

    PEFT     y = x W' + s (x A') B'        x: tokens, W: frozen weights, A and B: the adapter, s: its scaling
    here     y = x (W + s B A)'

    >>> with merged_products(model):
    ...     trainer.train()

Values and gradients are PEFT's to rounding. The sum is made for one layer at a time and again for its gradient, so no
copy of the weights is kept. The parameters stay PEFT's own, and so does what is saved. A layer goes by PEFT's forward
wherever the two might differ (half precision, which would round away what the adapter has learned, dropout, DoRA,
quantised weights, ...), or where the batch is so small that making the sum costs more than it saves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear


@contextmanager
def merged_products(model: Any) -> Iterator[None]:
    """Within it, the LoRA layers of the model that allow it compute by one product."""
    layers: list[Any] = [module for module in model.modules() if type(module) is Linear]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # of this instance: its class has PEFT's


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    if args or kwargs or not (_is_plain(layer) and _pays(layer, x)):
        return Linear.forward(layer, x, *args, **kwargs)
    (adapter,) = layer.active_adapters
    base, scaling = layer.base_layer, layer.scaling[adapter]
    product: torch.Tensor = _MergedProduct.apply(
        x, base.weight, layer.lora_A[adapter].weight, layer.lora_B[adapter].weight, scaling
    )
    return product if base.bias is None else product + base.bias


def _is_plain(layer: Any) -> bool:
    """Whether the layer is frozen float32 weights plus one adapter that is no more than A, B and a scaling."""
    if layer.disable_adapters or layer.merged or len(layer.active_adapters) != 1:
        return False
    (adapter,), base = layer.active_adapters, layer.base_layer
    return (
        type(base) is torch.nn.Linear
        and not base.weight.requires_grad
        and base.weight.dtype == torch.float32
        and adapter in layer.lora_A
        and layer.lora_A[adapter].weight.dtype == torch.float32
        and adapter not in layer.lora_variant
        and not layer.lora_bias[adapter]
        and not layer.fan_in_fan_out
        and (isinstance(layer.lora_dropout[adapter], torch.nn.Identity) or not layer.training)
    )


def _pays(layer: Any, x: torch.Tensor) -> bool:
    """Whether products with A and B for each token are more than their product with each other, twice."""
    if x.dtype != torch.float32 or torch.is_autocast_enabled(x.device.type):
        return False
    tokens = x.numel() // layer.in_features
    return tokens * (layer.in_features + layer.out_features) > 2 * layer.in_features * layer.out_features


class _MergedProduct(torch.autograd.Function):
    """x (W + s B A)' for frozen W."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, a, b)
        ctx.scaling = scaling
        return torch.nn.functional.linear(x, torch.addmm(weight, b, a, alpha=scaling))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, weight, a, b = ctx.saved_tensors
        flat_x, flat = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (flat @ torch.addmm(weight, b, a, alpha=ctx.scaling)).view(x.shape)
        scaled = b * ctx.scaling
        of_a = (flat @ scaled).t() @ flat_x
        of_b = (flat.t() @ (flat_x @ a.t())).mul_(ctx.scaling)
        return of_x, None, of_a, of_b, None
