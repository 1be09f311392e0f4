"""Posterior solve rates against the beta-binomial written out for every hyper-parameter of the grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import betabinom

from s2l_lab.estimators import rate_posterior
from s2l_lab.estimators.cells import pool
from s2l_lab.estimators.rate_posterior import posterior_rates


def mean_rate(correct: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Posterior mean by cell, from the binned posterior."""
    posterior = posterior_rates(pool(correct, total))
    mean_C: np.ndarray = posterior.mass_CQ @ np.exp(posterior.log_right_Q)
    return mean_C


@pytest.mark.parametrize("rollouts", [4, 64, 400])
def test_posterior_means_by_closed_form(rollouts: int) -> None:
    rng = np.random.default_rng(0)
    correct = rng.binomial(rollouts, np.where(rng.random(12) < 0.4, 0, rng.beta(0.5, 1, 12)))
    correct[:2] = 0, rollouts
    cells = pool(correct, np.full(12, rollouts))
    log_weights, means = [], []
    grid = itertools.product(rate_posterior._SHAPE_A, rate_posterior._SHAPE_B, rate_posterior._ZERO)
    for a, b, zero in grid:
        solvable = (1 - zero) * betabinom.pmf(cells.correct_C, rollouts, a, b)
        evidence = solvable + zero * (cells.correct_C == 0)
        log_weights.append(cells.weight_C @ np.log(evidence))
        means.append(solvable / evidence * (a + cells.correct_C) / (a + b + rollouts))
    weight = np.exp(np.array(log_weights) - max(log_weights))
    np.testing.assert_allclose(
        mean_rate(correct, np.full(12, rollouts)), weight @ np.array(means) / weight.sum(), rtol=2e-2
    )


def test_unsolvable_problems_are_told_from_hard_ones() -> None:
    """30 problems at 0 and 30 near .5: one beta alone would leave the first kind likely to be solved in the end."""
    correct = np.concatenate([np.zeros(30, int), np.random.default_rng(0).binomial(64, 0.5, 30)])
    posterior = posterior_rates(pool(correct, np.full(60, 64)))
    assert posterior.share_above(np.array([0.002]))[0, 0] < 0.02
    alone = posterior_rates(pool(np.random.default_rng(0).binomial(64, 0.02, 30), np.full(30, 64)))
    assert alone.share_above(np.array([0.002]))[0, 0] > 0.5


def test_mass_is_whole_and_shares_fall() -> None:
    posterior = posterior_rates(pool([0, 3, 8, 16], [16, 16, 16, 16]))
    np.testing.assert_allclose(posterior.mass_CQ.sum(1), 1)
    shares = posterior.share_above(np.linspace(0.01, 0.99, 50))
    assert (np.diff(shares, axis=1) <= 0).all()
    assert (np.diff(shares, axis=0) >= -1e-12).all()  # more correct rollouts, larger rates
