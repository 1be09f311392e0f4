"""The in-place cache is transformers' own cache to whoever reads it."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, Qwen3Config
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from s2l_lab.policies.keyed_sampler.row_cache import (
    InPlaceLayer,
    append_rows,
    cache_bytes,
    row_cache,
    takes_rows,
    trim,
)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_history_leaves_what_dynamic_layer_holds(data: st.DataObject) -> None:
    """Appends of any length, then rows dropped, repeated and moved, again and again."""
    rows = data.draw(st.integers(1, 5))
    ours, theirs = InPlaceLayer(), DynamicLayer()
    for _ in range(data.draw(st.integers(1, 8))):
        added = data.draw(st.integers(1, 20))
        keys, values = torch.randn(rows, 2, added, 4), torch.randn(rows, 2, added, 6)
        for got, expected in zip(ours.update(keys, values), theirs.update(keys, values), strict=True):
            assert torch.equal(got, expected)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1) == theirs.get_mask_sizes(1)
        index = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=9)))
        ours.reorder_cache(index)
        theirs.reorder_cache(index)
        rows = len(index)
        assert torch.equal(ours.keys, theirs.keys)
        assert torch.equal(ours.values, theirs.values)


def test_only_plain_layers_are_replaced() -> None:
    config = Qwen3Config(
        num_hidden_layers=2, layer_types=["full_attention", "sliding_attention"], use_sliding_window=True
    )
    first, second = row_cache(config).layers
    assert type(first) is InPlaceLayer
    assert type(second) is DynamicSlidingWindowLayer


def test_an_empty_cache_can_be_reordered() -> None:
    row_cache(Qwen3Config(num_hidden_layers=1)).reorder_cache(torch.tensor([0, 0]))


def test_bytes_are_those_of_the_states_in_use() -> None:
    cache = row_cache(Qwen3Config(num_hidden_layers=2))
    assert cache_bytes(cache) == 0
    states = torch.zeros(3, 2, 5, 4)
    for layer in range(2):
        cache.update(states, states, layer)
    plain = DynamicCache(config=Qwen3Config(num_hidden_layers=2))
    for layer in range(2):
        plain.update(states, states, layer)
    assert cache_bytes(cache) == cache_bytes(plain) == 2 * 2 * 3 * 2 * 5 * 4 * 4


WINDOW = 7
MIXED = Qwen3Config(
    num_hidden_layers=2,
    layer_types=["full_attention", "sliding_attention"],
    use_sliding_window=True,
    sliding_window=WINDOW,
)


def fed(cache: DynamicCache, states: torch.Tensor) -> DynamicCache:
    for layer in range(2):
        cache.update(states, states, layer)
    return cache


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_rows_that_join_and_leave_hold_their_own_states_right_aligned(data: st.DataObject) -> None:
    """Follow every row by its own list of positions, while rows of other lengths join, move, grow and leave."""
    cache, rows = row_cache(MIXED, most_rows=data.draw(st.integers(1, 6))), []
    for _ in range(data.draw(st.integers(1, 8))):
        count, length = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 30))
        new = torch.randn(count, 2, length, 4)
        chosen = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=3))
        append_rows(cache, fed(row_cache(MIXED), new), torch.tensor(chosen))
        rows += [new[i] for i in chosen]
        for _ in range(data.draw(st.integers(0, 3))):
            index = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=6))
            cache.reorder_cache(torch.tensor(index))
            rows = [rows[i] for i in index]
            spare = cache.get_seq_length() - max(row.shape[1] for row in rows)
            trim(cache, data.draw(st.integers(0, spare)))
            step = torch.randn(len(rows), 2, 1, 4)
            fed(cache, step)
            rows = [torch.cat([row, one], 1) for row, one in zip(rows, step, strict=True)]
        full, sliding = cache.layers
        assert full.keys.shape[2] == sliding.get_seq_length() >= max(row.shape[1] for row in rows)
        assert sliding.keys.shape[2] == min(full.keys.shape[2], WINDOW - 1)
        for place, row in enumerate(rows):
            columns = full.keys.shape[2]
            assert torch.equal(full.keys[place, :, columns - row.shape[1] :], row)
            assert torch.equal(full.values[place, :, columns - row.shape[1] :], row)
            kept = min(row.shape[1], WINDOW - 1)
            assert torch.equal(sliding.keys[place, :, sliding.keys.shape[2] - kept :], row[:, -kept:])
        assert full.keys.isfinite().all()  # padding too: nothing times NaN is NaN


def test_a_layer_with_state_of_its_own_takes_no_rows() -> None:
    class Indexed(DynamicLayer):
        """Stands for layers that hold more than keys and values."""

    cache = row_cache(MIXED)
    assert takes_rows(cache)
    cache.layers[0] = Indexed()
    assert not takes_rows(cache)
