"""Bounds of Cover@tau against the primal programme and the truth; the likeliest rates against their optimality law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import binom

from s2l_lab.estimators import cover_curve
from s2l_lab.estimators.cells import pool
from s2l_lab.estimators.cover_bounds import cover_bounds
from s2l_lab.estimators.likeliest_rates import likeliest_rates


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def bounds(correct: object, total: int, taus: list[float], level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    cells = pool(correct, [total] * len(correct))  # type: ignore[arg-type]  # any sequence
    found = cover_bounds(cells, np.array(taus), level, rng())
    return found.lower_T, found.upper_T


def primal(correct: np.ndarray, total: int, tau: float, sign: int, level: float = 0.95) -> float:
    """The programme as it is written down, over a grid of mixtures: never beyond what all mixtures reach."""
    rates = np.unique(np.append(np.sin(np.linspace(0, np.pi / 2, 60 * int(np.sqrt(total)))) ** 2, [tau, tau - 1e-9]))
    eps = np.sqrt(np.log(2 / (1 - level)) / (2 * correct.size))
    seen = np.array([(correct <= x).mean() for x in range(total)])
    law = binom.cdf(np.arange(total)[:, None], total, rates)
    found = linprog(
        -sign * (rates >= tau), A_ub=np.concatenate([law, -law]), b_ub=np.concatenate([seen + eps, eps - seen]),
        A_eq=np.ones((1, rates.size)), b_eq=[1],
    )  # fmt: skip
    return float(-sign * found.fun)


@pytest.mark.parametrize(("total", "problems", "level"), [(4, 12, 0.95), (16, 60, 0.8), (16, 500, 0.95), (40, 99, 0.9)])
def test_bounds_are_the_programmes_ends_and_never_inside_them(total: int, problems: int, level: float) -> None:
    correct = rng().binomial(total, rng(1).beta(0.6, 1, problems))
    for tau in (1 / total, 0.3, 0.55, 0.9):
        (lower,), (upper,) = bounds(correct, total, [tau], level)
        least, most = (primal(correct, total, tau, sign, level) for sign in (-1, 1))
        assert least - 0.01 <= lower <= least + 1e-6
        assert most - 1e-6 <= upper <= most + 0.01


def test_points_stand_side_by_side_where_rates_sit_on_both_sides_of_tau() -> None:
    """Half of 500 problems at .2, half at .6, N = 16: a smooth prior says .74 of tau = .25 and its interval excludes
    the true half every time; the likeliest distribution is near it, and the exact bounds hold it."""
    draws, smoothed, likeliest, held, by_prior = rng(3), [], [], 0, 0
    for _ in range(20):
        correct = draws.binomial(16, np.where(np.arange(500) < 250, 0.2, 0.6))
        seen = cover_curve(correct, [16] * 500, [0.25], rng=draws, replicates=200)
        smoothed.append(seen.smoothed[0])
        likeliest.append(seen.npmle[0])
        held += seen.bounds_lower[0] <= 0.5 <= seen.bounds_upper[0]
        by_prior += seen.smoothed_lower[0] <= 0.5 <= seen.smoothed_upper[0]
    assert np.mean(smoothed) - 0.5 > 0.2
    assert abs(np.mean(likeliest) - 0.5) < 0.05
    assert (held, by_prior) == (20, 0)


def test_the_likeliest_point_is_the_worse_one_where_rates_are_smooth() -> None:
    """Rates of Beta(2, 2), N = 8, 60 problems: atoms jump over tau, the smooth prior does not."""
    draws, off = rng(4), []
    for _ in range(30):
        correct = draws.binomial(8, draws.beta(2, 2, 60))
        seen = cover_curve(correct, [8] * 60, [0.5], rng=draws, replicates=200)
        off.append([abs(seen.smoothed[0] - 0.5), abs(seen.npmle[0] - 0.5)])
    assert np.mean(off, axis=0)[1] > 2 * np.mean(off, axis=0)[0]


@pytest.mark.parametrize("truth", ["two points", "beta", "rare"])
@pytest.mark.parametrize("repetitions", [15, pytest.param(60, marks=pytest.mark.slow)])
def test_bounds_hold_the_truth_at_all_tau_at_once(truth: str, repetitions: int) -> None:
    draws, taus, held = rng(5), np.array([0.1, 0.25, 0.5, 0.9]), 0
    populations = {
        "two points": lambda size: np.where(draws.random(size) < 0.5, 0.2, 0.6),
        "beta": lambda size: draws.beta(0.3, 1, size),
        "rare": lambda size: np.where(draws.random(size) < 0.05, 0.9, 0.1),
    }
    sure = np.array([(populations[truth](400_000) >= tau).mean() for tau in taus])
    for _ in range(repetitions):
        lower, upper = bounds(draws.binomial(16, populations[truth](40)), 16, taus.tolist())
        held += bool(((lower <= sure + 0.002) & (sure <= upper + 0.002)).all())
    assert held / repetitions > 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_ends_are_shares_in_order_that_fall_in_tau_and_widen_with_the_level(correct: list[int]) -> None:
    taus = (np.arange(1, 7) / 6).tolist()
    lower, upper = bounds(correct, 6, taus)
    wide_lower, wide_upper = bounds(correct, 6, taus, level=0.99)
    if np.isnan(lower).any():
        assert np.isnan([lower, upper]).all()
        return
    assert (lower >= 0).all()
    assert (lower <= upper).all()
    assert (upper <= 1).all()
    assert (np.diff(lower) <= 1e-6).all()
    assert (np.diff(upper) <= 1e-6).all()
    assert (wide_lower <= lower + 2e-4).all()
    assert (upper <= wide_upper + 2e-4).all()


def test_many_taus_take_safe_neighbours() -> None:
    """A hundred values of tau: every end is at or outside of the one that is solved at that tau itself."""
    correct = rng().binomial(16, rng(1).beta(0.5, 1, 50))
    taus = np.linspace(1 / 16, 1, 100)
    lower, upper = bounds(correct, 16, taus.tolist())
    for i in (0, 7, 33, 71, 99):
        (own_lower,), (own_upper,) = bounds(correct, 16, [taus[i]])
        assert lower[i] <= own_lower + 1e-9
        assert upper[i] >= own_upper - 1e-9


def test_a_mixture_of_rates_between_those_of_the_coarse_grid_is_found() -> None:
    """500 problems at .1 and .9: no mixture of a dozen fixed rates has such counts, and the bounds were NaN."""
    draws = rng(8)
    for _ in range(10):
        lower, upper = bounds(draws.binomial(16, np.where(draws.random(500) < 0.05, 0.9, 0.1)), 16, [0.25, 0.5, 0.9])
        assert ((lower <= 0.05) & (upper >= 0.05)).all()


def test_one_problem_says_nothing_and_counts_without_spread_no_mixture_makes() -> None:
    assert np.array(bounds([8], 16, [0.5])).tolist() == [[0.0], [1.0]]
    # A thousand times exactly 8 of 16: rollouts that were not drawn independently.
    assert np.isnan(bounds([8] * 1000, 16, [0.25, 0.5])).all()


def test_unequal_totals_are_thinned_to_the_smallest_and_equal_ones_draw_nothing() -> None:
    draws = rng(6)
    rates = draws.beta(0.5, 1, 4_000)
    total = np.where(np.arange(4_000) % 2 == 0, 8, 64)
    cells = pool(draws.binomial(total, rates), total)
    found = cover_bounds(cells, np.array([0.25, 0.5]), 0.95, draws)
    equal = cover_bounds(pool(draws.binomial(8, rates), np.full(4_000, 8)), np.array([0.25, 0.5]), 0.95, draws)
    np.testing.assert_allclose(found.lower_T, equal.lower_T, atol=0.1)
    np.testing.assert_allclose(found.upper_T, equal.upper_T, atol=0.1)
    before = draws.bit_generator.state
    cover_bounds(pool([1, 2], [8, 8]), np.array([0.5]), 0.95, draws)
    assert draws.bit_generator.state == before


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 24), st.integers(1, 24)), min_size=1, max_size=25))
def test_no_rate_would_raise_the_likelihood(pairs: list[tuple[int, int]]) -> None:
    """The maximum's law: mixing in any rate at all gains nothing, and masses are a distribution."""
    correct, total = np.array([(min(c, n), n) for c, n in pairs]).T
    found = likeliest_rates(pool(correct, total))
    assert found.mass_Q.sum() == pytest.approx(1)
    assert (found.mass_Q > 0).all()
    every = np.linspace(0, 1, 2_001)
    chance_P = binom.pmf(correct[:, None], total[:, None], found.rate_Q) @ found.mass_Q
    gain = (binom.pmf(correct[:, None], total[:, None], every) / chance_P[:, None]).mean(0) - 1
    assert gain.max() < 5e-4  # rates between two of the grid


def test_likeliest_rates_by_hand() -> None:
    """All right: the rate 1. One of two right: 1/2 for each. One problem: its own c / N."""
    for correct, total, rate in (([4, 4], [4, 4], 1.0), ([0, 0], [3, 9], 0.0), ([1, 1, 1], [2, 2, 2], 0.5)):
        found = likeliest_rates(pool(correct, total))
        assert found.rate_Q @ found.mass_Q == pytest.approx(rate, abs=0.02)
        assert np.abs(found.rate_Q - rate).max() < 0.03
    assert likeliest_rates(pool([5], [20])).rate_Q == pytest.approx(0.25, abs=0.01)
