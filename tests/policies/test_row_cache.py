"""The in-place cache is transformers' own cache to whoever reads it."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, Qwen3Config
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from s2l_lab.policies.keyed_sampler.row_cache import InPlaceLayer, cache_bytes, row_cache


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
