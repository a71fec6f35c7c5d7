"""The log-probability of answers under a transformers model, summed over their tokens: one forward pass per batch.

Rows are padded on the right: positions are those of a row alone, and causal attention never sees the padding. Logits
are computed for the answers only, if the model supports that.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from lidr.engines.base import TokenIds


def log_probabilities(model: Any, rows: Sequence[TokenIds]) -> list[float]:
    """Natural logarithms, in the rows' order."""
    import torch

    longest = max(map(len_of, rows))
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        whole = torch.tensor([*row.prompt, *row.answer])
        ids[number, : len(whole)], mask[number, : len(whole)] = whole, 1
    # The logits at a position predict the next token.
    first = min(len(row.prompt) for row in rows) - 1
    options: dict[str, Any] = {"use_cache": False}
    # PEFT's wrapper hides the signature of the model's own forward.
    own = model.get_base_model() if hasattr(model, "get_base_model") else model
    keeps = "logits_to_keep" in inspect.signature(own.forward).parameters
    if keeps:
        options["logits_to_keep"] = torch.arange(first, longest, device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), **options).logits
        logits = logits if keeps else logits[:, first:]
        sums = []
        for row_logits, row in zip(logits, rows, strict=True):
            begin = len(row.prompt) - 1 - first
            answer = torch.tensor(row.answer, device=model.device)
            predicted = row_logits[begin : begin + len(row.answer)].float()
            sums.append(-torch.nn.functional.cross_entropy(predicted, answer, reduction="sum"))
        found: list[float] = torch.stack(sums).tolist()
    return found


def len_of(row: TokenIds) -> int:
    """Tokens of prompt and answer."""
    return len(row.prompt) + len(row.answer)
