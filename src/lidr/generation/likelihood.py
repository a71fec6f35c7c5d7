"""The log-probability of answers under a model, summed over their tokens, with plain transformers.

    >>> log_probabilities(model, [Row([1, 5, 212, 6], [96, 97, 2])], tokens_per_batch=4096, progress=print)
    [-4.8123]

Rows of similar length share a batch. They are padded on the right, so positions are those of a row alone, and causal
attention never sees the padding. Logits are made where an answer is, if the model can leave out the others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple


class Row(NamedTuple):
    """Token ids of a prompt, and of an answer with the end of its turn."""

    prompt: list[int]
    answer: list[int]


def log_probabilities(
    model: Any, rows: Sequence[Row], tokens_per_batch: int, progress: Callable[[int], None]
) -> list[float | None]:
    """Natural logarithms, in the rows' order; None for a row that does not fit the device's memory, even alone."""
    found: list[float | None] = [None] * len(rows)
    for batch in _batches(rows, tokens_per_batch):
        for index, value in zip(batch, _if_it_fits(model, [rows[index] for index in batch]), strict=True):
            found[index] = value
        progress(len(batch))
    return found


def _batches(rows: Sequence[Row], tokens_per_batch: int) -> Iterator[list[int]]:
    """Places of rows of similar length, within the budget of padded tokens."""
    batch: list[int] = []
    lengths = [len(row.prompt) + len(row.answer) for row in rows]
    for index in sorted(range(len(rows)), key=lambda index: (lengths[index], index)):
        if batch and lengths[index] * (len(batch) + 1) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _if_it_fits(model: Any, rows: list[Row]) -> list[float | None]:
    """A batch that does not fit the device's memory is halved and tried again."""
    import torch

    try:
        return list(_of_batch(model, rows))
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(rows) == 1:
        return [None]
    middle = len(rows) // 2
    return _if_it_fits(model, rows[:middle]) + _if_it_fits(model, rows[middle:])


def _of_batch(model: Any, rows: list[Row]) -> list[float]:
    import torch

    longest = max(len(row.prompt) + len(row.answer) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        whole = torch.tensor([*row.prompt, *row.answer])
        ids[number, : len(whole)], mask[number, : len(whole)] = whole, 1
    # What stands at a position is predicted at the one before it.
    first = min(len(row.prompt) for row in rows) - 1
    options: dict[str, Any] = {"use_cache": False}
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    if keeps:
        options["logits_to_keep"] = torch.arange(first, longest, device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), **options).logits
        logits = logits if keeps else logits[:, first:]
        sums = []
        for row_logits, row in zip(logits, rows, strict=True):
            begin = len(row.prompt) - 1 - first
            answer = torch.tensor(row.answer, device=model.device)
            log_probs = row_logits[begin : begin + len(row.answer)].float().log_softmax(-1)
            sums.append(log_probs.gather(1, answer[:, None]).sum())
        found: list[float] = torch.stack(sums).tolist()
    return found
