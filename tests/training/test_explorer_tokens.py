"""The effective sample size of the explorer's tokens is a share: never above 1, and 1 exactly where all count alike."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.training.correction import Corrected
from s2l_lab.training.metrics import ExplorerTokens

FREE = (10.0, 10.0, None)
"""A clip that lets every ratio pass."""


def tokens_of(log_ratio: list[float], weight: list[float] | None = None) -> ExplorerTokens:
    """One rollout of the explorer with these log-ratios and weights (None: 1) and a positive advantage."""
    row = torch.tensor([log_ratio], dtype=torch.float32)
    ones = torch.ones_like(row)
    weights = ones if weight is None else torch.tensor([weight], dtype=torch.float32)
    return ExplorerTokens.of(row, Corrected(0 * row, weights), ones[:, :1], torch.tensor([True]), ones, FREE)


@pytest.mark.parametrize("log_ratio", [0.0, 1e-7, -0.37, 2.2])
def test_equal_factors_are_worth_all_their_tokens(log_ratio: float) -> None:
    for n in (1, 3, 7, 100, 1_000, 4_099):
        ess = tokens_of([log_ratio] * n).metrics()["explorer/ess"]
        assert ess <= 1
        assert ess == pytest.approx(1, abs=1e-12)


@settings(max_examples=60)
@given(st.lists(st.lists(st.floats(0.0625, 8, width=32), min_size=1, max_size=40), min_size=1, max_size=4))
def test_the_share_is_that_of_exact_sums_and_never_above_one(batches: list[list[float]]) -> None:
    """Micro-batches add up; the factors are float32, their sums are not."""
    first, *others = (tokens_of([0.0] * len(one), one) for one in batches)
    found = sum(others, first).metrics()["explorer/ess"]
    factors = [Fraction(factor) for one in batches for factor in one]
    exact = sum(factors) ** 2 / (len(factors) * sum(f**2 for f in factors))
    assert found <= 1
    np.testing.assert_allclose(found, float(exact), rtol=1e-12)
