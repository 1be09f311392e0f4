"""Draw keys: the generator is NumPy's Philox word for word, and a key is nothing but its six fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from s2l_lab.policies.draw_keys import philox_blocks, rollout_keys, seed63, uniforms

FIELDS = (7, "policy", "sampling", "problem")


def test_published_known_answers() -> None:
    """The three vectors of philox4x64-10 in Random123's kat_vectors whose counters we can reach: (block, 0, 0, 0)."""
    words = philox_blocks(np.zeros((1, 2), np.uint64), np.zeros(1, np.uint64))[0, 0]
    assert [f"{int(w):016x}" for w in words] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]


word = st.integers(0, 2**64 - 1)


@given(keys=st.lists(st.tuples(word, word), min_size=1, max_size=4), block=st.integers(1, 2**40))
@settings(max_examples=50, deadline=None)
def test_equals_numpy_philox(keys: list[tuple[int, int]], block: int) -> None:
    keys_N2 = np.array(keys, dtype=np.uint64)
    ours = philox_blocks(keys_N2, np.array([block, block + 1], np.uint64))
    for row, key in zip(ours, keys_N2, strict=True):
        theirs = np.random.Philox(key=key, counter=[block - 1, 0, 0, 0]).random_raw(8)  # NumPy counts before it draws
        np.testing.assert_array_equal(row.ravel(), theirs)


def test_uniforms_equal_numpy_doubles_in_order() -> None:
    keys_N2 = rollout_keys(*FIELDS, range(3))
    ours = uniforms(keys_N2, np.arange(4, 30))
    for row, key in zip(ours, keys_N2, strict=True):
        np.testing.assert_array_equal(row, np.random.Generator(np.random.Philox(key=key)).random(26))


def test_a_position_is_addressed_not_reached() -> None:
    keys_N2 = rollout_keys(*FIELDS, range(5))
    shuffled = np.array([9, 2, 2, 0, 71])
    columns = uniforms(keys_N2, shuffled)
    for column, position in zip(columns.T, shuffled, strict=True):
        np.testing.assert_array_equal(column, uniforms(keys_N2, int(position)))
    np.testing.assert_array_equal(columns[3:4], uniforms(keys_N2[3:4], shuffled))


def test_every_field_of_the_key_matters() -> None:
    base = rollout_keys(*FIELDS, [3])
    variants = [
        rollout_keys(8, "policy", "sampling", "problem", [3]),
        rollout_keys(7, "policy2", "sampling", "problem", [3]),
        rollout_keys(7, "policy", "sampling2", "problem", [3]),
        rollout_keys(7, "policy", "sampling", "problem2", [3]),
        rollout_keys(*FIELDS, [4]),
        rollout_keys(7, "policys", "ampling", "problem", [3]),
    ]
    keys = {tuple(k.ravel().tolist()) for k in (base, *variants)}
    assert len(keys) == 7
    np.testing.assert_array_equal(rollout_keys(*FIELDS, [9, 3])[1], base[0])


def test_engine_seeds_fit_63_bits_and_differ() -> None:
    seeds = {seed63(*FIELDS, block) for block in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert min(np.diff(sorted(seeds))) > 1000  # neighbours would give overlapping child seeds
    assert seed63(*FIELDS, 0) != seed63(7, "policy", "sampling", "other", 0)


def test_no_rollouts_have_no_keys() -> None:
    assert rollout_keys(*FIELDS, []).shape == (0, 2)
    assert uniforms(rollout_keys(*FIELDS, []), 3).shape == (0,)


def test_a_negative_index_is_no_key() -> None:
    with pytest.raises(OverflowError):
        rollout_keys(*FIELDS, [-1])


@pytest.mark.parametrize("axis", ["positions of one rollout", "rollouts at one position"])
def test_uniform_and_uncorrelated(axis: str) -> None:
    if axis == "positions of one rollout":
        sample = uniforms(rollout_keys(*FIELDS, [0]), np.arange(20_000))[0]
    else:
        sample = uniforms(rollout_keys(*FIELDS, range(20_000)), 5)
    assert sample.min() >= 0
    assert sample.max() < 1
    assert stats.kstest(sample, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(sample[1:], sample[:-1])[0, 1]) < 4 / np.sqrt(20_000)
