"""A key-value cache whose rows stay where they are.

transformers' DynamicCache copies every key and value once per token (it concatenates) and once more whenever the set
of rows changes (it index-selects): as much time as a small model's arithmetic. `row_cache` is that cache with its
full-attention layers replaced by layers that write into spare room and, on `reorder_cache`, copy only the rows that
move. Nothing but `update` and `reorder_cache` changes, so a model cannot tell the difference; sliding-window and
linear-attention layers are transformers' own, since their state does not grow.

What would surprise: `reorder_cache(index)` accepts an index shorter or longer than the batch (rows are dropped or
repeated), and costs what moves: row i is free where index[i] == i. The sampler keeps prefixes in place for that reason.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 1.5
"""A full buffer is replaced by one with room for this many times its positions or rows."""
_MIN_SPARE = 16


def row_cache(config: Any) -> DynamicCache:
    """An empty cache for a model of this config."""
    cache = DynamicCache(config=config)
    cache.layers = [InPlaceLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes that the cache's layers hold for their rows: keys, values, convolution and recurrent states."""
    total = 0
    for layer in cache.layers:
        states = [getattr(layer, "keys", None), getattr(layer, "values", None)]
        for name in ("conv_states", "recurrent_states"):
            states += list(getattr(layer, name, {}).values())
        total += sum(state.nbytes for state in states if isinstance(state, torch.Tensor))
    return total


class InPlaceLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """DynamicLayer with spare room: `keys` and `values` are views (rows, heads, length, head_dim) into buffers."""

    def __init__(self) -> None:
        super().__init__()
        self._key_rows = _Rows()
        self._value_rows = _Rows()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new positions of all rows; returns everything so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys = self._key_rows.append(key_states)
        self.values = self._value_rows.append(value_states)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Row i becomes what row beam_idx[i] was."""
        if not self.is_initialized:
            return
        index = beam_idx.to(self.device)
        moved = (index != torch.arange(len(index), device=index.device)).nonzero()[:, 0]
        self.keys = self._key_rows.select(index, moved)
        self.values = self._value_rows.select(index, moved)


class _Rows:
    """A buffer (row room, heads, position room, head_dim) of which the first rows and positions are in use."""

    def __init__(self) -> None:
        self.buffer: torch.Tensor | None = None
        self.rows = 0
        self.length = 0

    def append(self, states: torch.Tensor) -> torch.Tensor:
        rows, heads, added, dim = states.shape
        start, self.length, self.rows = self.length, self.length + added, rows
        if self.buffer is None or self.length > self.buffer.shape[2]:
            grown = states.new_empty((rows, heads, max(int(ROOM * self.length), self.length + _MIN_SPARE), dim))
            if self.buffer is not None:
                grown[:, :, :start] = self.buffer[:rows, :, :start]
            self.buffer = grown
        self.buffer[:rows, :, start : self.length] = states
        return self.buffer[:rows, :, : self.length]

    def select(self, index: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        assert self.buffer is not None
        room = self.buffer.shape[0]
        if len(index) > room:
            grown = self.buffer.new_empty((max(len(index), int(ROOM * room)), *self.buffer.shape[1:]))
            torch.index_select(self.buffer, 0, index, out=grown[: len(index)])
            self.buffer = grown
        elif len(moved):
            # Whole rows, spare room included: a contiguous copy is several times faster than one of a view.
            self.buffer.index_copy_(0, moved, self.buffer.index_select(0, index[moved]))
        self.rows = len(index)
        return self.buffer[: self.rows, :, : self.length]
