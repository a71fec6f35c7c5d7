"""The running batch of continuous batching: rows with their key-value cache.

    batch = RunningBatch.begin(rows, chat.pad_id, device)
    output = model.generate(batch.ids, attention_mask=batch.mask, past_key_values=batch.cache, ...)
    batch.grow(output)
    batch.keep({0: row, 2: another})    # finished sequences leave
    batch.merge(another_batch)          # newly admitted ones join

Rows of `ids` are padded on the left. The cache holds keys and values of all tokens but the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Layer types that can be cut and concatenated along the token axis; a sliding layer is stored whole, because the
# attention mask applies the window.
_WITH_TOKENS = ("DynamicLayer", "DynamicSlidingWindowLayer")


@dataclass(frozen=True)
class SequenceState:
    """A request's prompt, its index, and its answer so far."""

    index: int
    id: str
    prompt: list[int]
    answer: list[int]

    @property
    def ids(self) -> list[int]:
        """Prompt and answer so far."""
        return self.prompt + self.answer


@dataclass
class RunningBatch:
    """`ids` and `mask` have a line for each row; `cache` is None where the model recomputes all tokens."""

    rows: list[SequenceState]
    ids: Any
    mask: Any
    cache: Any

    @classmethod
    def begin(cls, rows: list[SequenceState], pad_id: int, device: Any, keeps_cache: bool) -> RunningBatch:
        """A batch of rows that have no cache yet."""
        import torch
        from transformers import DynamicCache

        width = max(len(row.ids) for row in rows)
        ids = [[pad_id] * (width - len(row.ids)) + row.ids for row in rows]
        mask = [[0] * (width - len(row.ids)) + [1] * len(row.ids) for row in rows]
        cache = DynamicCache() if keeps_cache else None
        return cls(rows, torch.tensor(ids, device=device), torch.tensor(mask, device=device), cache)

    @property
    def width(self) -> int:
        """Tokens of a row, padded."""
        return int(self.ids.shape[1])

    def grow(self, ids: Any) -> None:
        """Take the ids with the newly generated tokens."""
        import torch

        self.mask = torch.nn.functional.pad(self.mask, (0, ids.shape[1] - self.width), value=1)
        self.ids = ids

    def keep(self, staying: Mapping[int, SequenceState]) -> None:
        """Drop all rows but these, by place, and the padding that they share."""
        import torch

        places = torch.tensor(list(staying), device=self.ids.device)
        first = int(self.mask[places].argmax(1).min())
        self.rows = list(staying.values())
        self.ids, self.mask = self.ids[places][:, first:], self.mask[places][:, first:]
        for layer in self.cache.layers if self.cache is not None else ():
            layer.keys, layer.values = layer.keys[places][:, :, first:], layer.values[places][:, :, first:]

    def merge(self, other: RunningBatch) -> None:
        """Append the rows of another batch."""
        import torch

        width = max(self.width, other.width)
        self.rows = self.rows + other.rows
        self.ids, self.mask = (
            torch.cat([_wider(one, width), _wider(another, width)])
            for one, another in ((self.ids, other.ids), (self.mask, other.mask))
        )
        if self.cache is None:
            return
        for layer, another in zip(self.cache.layers, other.cache.layers, strict=True):
            layer.keys, layer.values = (
                torch.cat([_wider(one, width - 1, dim=2), _wider(two, width - 1, dim=2)])
                for one, two in ((layer.keys, another.keys), (layer.values, another.values))
            )


def keeps_cache(model: Any) -> bool:
    """Whether the model's cache holds keys and values of tokens only."""
    from transformers import DynamicCache

    layers = DynamicCache(config=model.config).layers
    return not model._is_stateful and all(type(layer).__name__ in _WITH_TOKENS for layer in layers)


def _wider(values: Any, width: int, dim: int = 1) -> Any:
    """Zeros before the tokens, along dimension `dim`; the mask is 0 there as well."""
    import torch

    after = (0, 0) * (values.ndim - 1 - dim)
    return torch.nn.functional.pad(values, (*after, width - values.shape[dim], 0))
