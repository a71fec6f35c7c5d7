"""Batches of answers whose log-probability is computed: one forward pass each, within a budget of tokens.

    likelihoods = Likelihoods(model, budget=4096)
    for batch in likelihoods.batches(enumerate(rows)):
        for index, log_probability in likelihoods.of(batch): ...    # None: too large, even alone

Rows of similar length share a batch, which limits padding and bounds memory. They are padded on the right: positions
are those of a row alone, and causal attention never sees the padding.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from lidr.engines.base import TokenIds

FoundT = TypeVar("FoundT")

# A row, with its place among all.
Placed = tuple[int, TokenIds]


class TokenBudget:
    """Padded tokens per batch; lowered for good when the device runs out of memory."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def halve(self, rows: int, width: int) -> None:
        """Set the budget to half of a batch of this shape, which did not fit."""
        self.tokens = min(self.tokens, rows * width // 2)


class Likelihoods:
    """Log-probabilities of answers after their prompts, by a transformers model."""

    def __init__(self, model: Any, budget: int) -> None:
        self.model, self.budget = model, TokenBudget(budget)
        # PEFT's wrapper hides the signature of the model's own forward.
        own = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._keeps_logits = "logits_to_keep" in inspect.signature(own.forward).parameters

    def batches(self, rows: Iterable[Placed]) -> Iterator[list[Placed]]:
        """Yield batches of all rows, the shortest first; the budget may shrink on the way."""
        batch: list[Placed] = []
        for placed in sorted(rows, key=lambda placed: placed[1].length):
            if batch and placed[1].length * (len(batch) + 1) > self.budget.tokens:
                yield batch
                batch = []
            batch.append(placed)
        if batch:
            yield batch

    def of(self, batch: Sequence[Placed]) -> list[tuple[int, float | None]]:
        """The sum over each answer's tokens (natural logarithm); None for a row that does not fit alone.

        A batch that does not fit is halved.
        """
        rows = [row for _, row in batch]
        found = if_it_fits(lambda: self.sums(rows))
        if found is not None:
            return [(place, score) for (place, _), score in zip(batch, found, strict=True)]
        if len(batch) == 1:
            return [(batch[0][0], None)]
        self.budget.halve(len(batch), max(row.length for row in rows))
        middle = len(batch) // 2
        return self.of(batch[:middle]) + self.of(batch[middle:])

    def sums(self, rows: Sequence[TokenIds]) -> list[float]:
        """The log-probabilities of one batch; logits of the answers alone, if the model supports that."""
        import torch

        longest = max(row.length for row in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            whole = torch.tensor([*row.prompt, *row.answer])
            ids[number, : len(whole)], mask[number, : len(whole)] = whole, 1
        # The logits at a position predict the next token.
        first, device = min(len(row.prompt) for row in rows) - 1, self.model.device
        options: dict[str, Any] = {"use_cache": False}
        if self._keeps_logits:
            options["logits_to_keep"] = torch.arange(first, longest, device=device)
        with torch.inference_mode():
            logits = self.model(input_ids=ids.to(device), attention_mask=mask.to(device), **options).logits
            logits = logits if self._keeps_logits else logits[:, first:]
            sums = []
            for row_logits, row in zip(logits, rows, strict=True):
                begin = len(row.prompt) - 1 - first
                predicted = row_logits[begin : begin + len(row.answer)].float()
                answer = torch.tensor(row.answer, device=device)
                sums.append(-torch.nn.functional.cross_entropy(predicted, answer, reduction="sum"))
            found: list[float] = torch.stack(sums).tolist()
        return found


def if_it_fits(work: Callable[[], FoundT]) -> FoundT | None:
    """The result, or None if the device runs out of memory.

    The error does not leave this function: its traceback would keep the failed attempt's tensors.
    """
    import torch

    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        # torch has no error class for a CPU that is out of memory.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
