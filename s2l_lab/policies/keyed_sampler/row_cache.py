"""A key-value cache whose rows stay where they are, and which takes new rows while it is in use.

transformers' DynamicCache copies every key and value once per token (it concatenates) and once more whenever the set
of rows changes (it index-selects): as much time as a small model's arithmetic. `row_cache` is that cache with its
full-attention layers replaced by layers that write into spare room and, on `reorder_cache`, copy only the rows that
move. Nothing but `update` and `reorder_cache` changes, so a model cannot tell the difference; sliding-window and
linear-attention layers are transformers' own, since their state does not grow.

A batch of mixed lengths is right-aligned: a row's last position is the cache's last column, and columns before its
first position are padding (zeros, for the caller to mask). `append_rows` brings in rows of another cache and `trim`
drops leading columns, which the caller has seen to be padding in every row. Both know the layers of TAKES_ROWS.

What would surprise: `reorder_cache(index)` accepts an index shorter or longer than the batch (rows are dropped or
repeated), and costs what moves: row i is free where index[i] == i. The sampler keeps prefixes in place for that reason.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import (
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
)

ROOM = 1.5
"""A full buffer is replaced by one with room for this many times its positions or rows."""
_MIN_SPARE = 16


def row_cache(config: Any, most_rows: int | None = None) -> DynamicCache:
    """An empty cache for a model of this config. It leaves no spare room for more than `most_rows` rows."""
    cache = DynamicCache(config=config)
    cache.layers = [InPlaceLayer(most_rows) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def takes_rows(cache: DynamicCache) -> bool:
    """True if `append_rows` and `trim` know every layer of this cache."""
    return all(type(layer) in TAKES_ROWS for layer in cache.layers)


def append_rows(cache: DynamicCache, source: DynamicCache, rows: torch.Tensor) -> None:
    """Append these rows (P,) of `source`, a cache of the same model, after those of `cache`, right-aligned.

    Columns that the source has more than the cache, or the cache more than the source, become padding.
    """
    for layer, given in zip(cache.layers, source.layers, strict=True):
        if isinstance(layer, InPlaceLayer):
            layer.append_rows(given, rows)
        elif isinstance(layer, DynamicLayer):
            _append_window(layer, given, rows)
        if isinstance(layer, LinearAttentionLayer):
            _append_states(layer, given, rows)


def trim(cache: DynamicCache, columns: int) -> None:
    """Drop leading columns; at least one is left."""
    for layer in cache.layers:
        if isinstance(layer, InPlaceLayer):
            layer.trim(columns)
        elif isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length -= columns
            kept = min(layer.keys.shape[-2], layer.cumulative_length)
            layer.keys, layer.values = layer.keys[:, :, -kept:], layer.values[:, :, -kept:]
        elif isinstance(layer, DynamicLayer):
            layer.keys, layer.values = layer.keys[:, :, columns:], layer.values[:, :, columns:]


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

    def __init__(self, most_rows: int | None = None) -> None:
        super().__init__()
        self._key_rows = _Rows(most_rows)
        self._value_rows = _Rows(most_rows)

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

    def append_rows(self, source: DynamicLayer, rows: torch.Tensor) -> None:
        """Rows of another layer, right-aligned, after those of this one."""
        if not self.is_initialized:
            self.lazy_initialization(source.keys, source.values)
        rows = rows.to(self.device)
        self.keys = self._key_rows.append_rows(source.keys[rows])
        self.values = self._value_rows.append_rows(source.values[rows])

    def trim(self, columns: int) -> None:
        """Drop leading columns."""
        self.keys = self._key_rows.trim(columns)
        self.values = self._value_rows.trim(columns)


class _Rows:
    """A buffer (row room, heads, position room, head_dim) with the first rows and positions start to end in use."""

    def __init__(self, most_rows: int | None) -> None:
        self._most_rows = most_rows
        self.buffer: torch.Tensor | None = None
        self.rows = 0
        self.start = self.end = 0

    def append(self, states: torch.Tensor) -> torch.Tensor:
        self.rows, added = states.shape[0], states.shape[2]
        if self.buffer is None or self.end + added > self.buffer.shape[2]:
            self._grow(states, self.rows, self.end - self.start, added)
        assert self.buffer is not None
        self.buffer[: self.rows, :, self.end : self.end + added] = states
        self.end += added
        return self._used()

    def append_rows(self, states: torch.Tensor) -> torch.Tensor:
        added, _, length, _ = states.shape
        before, wider = self.rows, max(length - (self.end - self.start), 0)
        if self.buffer is None or before + added > self.buffer.shape[0] or wider > self.start:
            self._grow(states, before + added, self.end - self.start + wider, 0)
        else:
            self.start -= wider
        assert self.buffer is not None
        self.buffer[:before, :, self.start : self.start + wider] = 0
        self.rows += added
        self.buffer[before : self.rows, :, self.start : self.end - length] = 0
        self.buffer[before : self.rows, :, self.end - length : self.end] = states
        return self._used()

    def select(self, index: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        assert self.buffer is not None
        room = self.buffer.shape[0]
        if len(index) > room:
            grown = self.buffer.new_empty((self._row_room(len(index)), *self.buffer.shape[1:]))
            torch.index_select(self.buffer, 0, index, out=grown[: len(index)])
            self.buffer = grown
        elif len(moved):
            # Whole rows, spare room included: a contiguous copy is several times faster than one of a view.
            self.buffer.index_copy_(0, moved, self.buffer.index_select(0, index[moved]))
        self.rows = len(index)
        return self._used()

    def trim(self, columns: int) -> torch.Tensor:
        self.start += columns
        return self._used()

    def _grow(self, like: torch.Tensor, rows: int, length: int, added: int) -> None:
        """A new buffer for these rows, with what is in use at positions 0 to length, right-aligned."""
        wanted = length + added
        room = max(int(ROOM * wanted), wanted + _MIN_SPARE)
        grown = like.new_empty((self._row_room(rows), like.shape[1], room, like.shape[3]))
        if self.buffer is not None:
            used = self.buffer[: self.rows, :, self.start : self.end]
            grown[: len(used), :, length - used.shape[2] : length] = used
        self.buffer, self.start, self.end = grown, 0, length

    def _row_room(self, rows: int) -> int:
        room = rows if self.buffer is None else self.buffer.shape[0]
        if rows <= room:
            return rows
        spare = int(ROOM * room)
        return max(rows, spare if self._most_rows is None else min(spare, self._most_rows))

    def _used(self) -> torch.Tensor:
        assert self.buffer is not None
        return self.buffer[: self.rows, :, self.start : self.end]


TAKES_ROWS = (
    InPlaceLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
)
"""Layer classes whose whole state `append_rows` moves; of others there may be state that nothing here knows."""


def _append_window(layer: DynamicLayer, source: DynamicLayer, rows: torch.Tensor) -> None:
    """Keys and values of a layer of transformers' own."""
    rows = rows.to(source.keys.device)
    if layer.is_initialized:
        layer.keys = _stacked(layer.keys, source.keys[rows])
        layer.values = _stacked(layer.values, source.values[rows])
    else:
        DynamicLayer.lazy_initialization(layer, source.keys, source.values)
        layer.keys, layer.values = source.keys[rows], source.values[rows]
    if isinstance(layer, DynamicSlidingWindowLayer):
        layer.cumulative_length = max(layer.cumulative_length, source.cumulative_length)
        layer._sliding_window_tensor = source._sliding_window_tensor


def _stacked(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Rows of both, right-aligned in the length (dimension 2) of the longer."""
    length = max(first.shape[2], second.shape[2])
    padded = [torch.nn.functional.pad(x, (0, 0, length - x.shape[2], 0)) for x in (first, second)]
    return torch.cat(padded)


def _append_states(layer: LinearAttentionLayer, source: LinearAttentionLayer, rows: torch.Tensor) -> None:
    """Convolution and recurrent states."""
    for name in ("conv_states", "recurrent_states"):
        mine, given = getattr(layer, name), getattr(source, name)
        for key, state in given.items():
            if state is not None:
                chosen = state[rows.to(state.device)]
                mine[key] = chosen if mine[key] is None else torch.cat([mine[key], chosen])
    for flag in ("is_conv_states_initialized", "is_recurrent_states_initialized", "has_previous_state"):
        setattr(layer, flag, dict(getattr(source, flag)))
    layer.conv_kernel_size, layer.dtype, layer.device = dict(source.conv_kernel_size), source.dtype, source.device
