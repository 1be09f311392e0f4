"""One rule for `rng`: a seed, a generator, or None for seed 0."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators.randomness import generator


def test_a_seed_and_a_fresh_generator_of_it_give_the_same_bits_and_none_is_seed_0() -> None:
    expected = np.random.default_rng(0).random(5)
    for rng in (None, 0, np.int64(0), np.uint8(0), np.random.default_rng(0)):
        assert np.array_equal(generator(rng).random(5), expected)
    assert not np.array_equal(generator(1).random(5), expected)


def test_a_generator_is_passed_on_so_that_its_state_moves() -> None:
    rng = np.random.default_rng(3)
    assert generator(rng) is rng


@pytest.mark.parametrize(
    "wrong",
    [True, np.True_, 0.0, -1, "0", [0], np.array(0), np.random.RandomState(0), np.random.PCG64(0), np.random],
)
def test_anything_else_is_refused_with_what_is_allowed(wrong: object) -> None:
    with pytest.raises(UsageError, match="whole number from 0"):
        generator(wrong)  # type: ignore[arg-type]
